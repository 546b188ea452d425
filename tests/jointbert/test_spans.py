"""Words, spans and places in the original string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jointbert.spans import Span, labels_of, place_of, spans_of, split_at, words_of
from modelparity.errors import InputError

scorer = pytest.importorskip("seqeval.metrics.sequence_labeling", reason="the scorer is seqeval")

ODD = "  play\tBjörk,  at\u00a0noon 🎉👍🏽  e\u0301te\u0301 !"


@given(st.text())
def test_words_are_those_of_split_and_lie_where_they_say(text: str):
    words = words_of(text)
    assert [word.text for word in words] == text.split()
    assert all(text[word.start : word.end] == word.text for word in words)


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("B-a I-a O B-b", [Span("a", 0, 2), Span("b", 3, 4)]),
        ("B-a B-a", [Span("a", 0, 1), Span("a", 1, 2)]),
        ("I-a I-a I-b", [Span("a", 0, 2), Span("b", 2, 3)]),
        ("B-a O I-a", [Span("a", 0, 1), Span("a", 2, 3)]),
        ("PAD UNK O", []),
        ("", []),
    ],
)
def test_spans_follow_the_convention_of_the_scorer(labels: str, spans: list[Span]):
    assert spans_of(labels.split()) == spans


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"])))
def test_spans_are_the_scorer_s_entities(labels: list[str]):
    found = [(span.type, span.first, span.last - 1) for span in spans_of(labels)]
    assert found == scorer.get_entities(labels)


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b"])))
def test_labels_of_spans_are_the_inverse(labels: list[str]):
    spans = spans_of(labels)
    assert spans_of(labels_of(spans, len(labels))) == spans


@pytest.mark.parametrize(
    ("text", "first", "last", "expected"),
    [
        (ODD, 1, 2, "Björk"),
        (ODD, 1, 4, "Björk,  at\u00a0noon"),
        (ODD, 4, 5, "🎉👍🏽"),
        (ODD, 5, 7, "e\u0301te\u0301 !"),
        ("fly to washington d.c.", 2, 4, "washington d.c."),
        ("stop in st. louis.", 2, 4, "st. louis"),
        ("stop in st. louis.", 2, 3, "st."),
        ("play Hey!", 1, 2, "Hey"),
        ("play !", 1, 2, "!"),
    ],
)
def test_a_span_covers_the_words_without_punctuation_behind_them(
    text: str, first: int, last: int, expected: str
):
    start, end = place_of(Span("x", first, last), words_of(text))
    assert text[start:end] == expected


def test_words_are_cut_where_a_span_ends_beside_punctuation():
    text = "play Björk! now"
    assert [word.text for word in split_at(text, [(5, 10)])] == ["play", "Björk", "!", "now"]


def test_a_span_that_ends_inside_a_word_is_refused():
    with pytest.raises(InputError, match="inside the word 'Björk'"):
        split_at("play Björk", [(5, 8)])


@pytest.mark.parametrize(
    ("text", "place"),
    [("cafe\u0301 now", (0, 4)), ("\U0001f469\u200d\U0001f680", (0, 1)), ("a\u00adb", (0, 2))],
    ids=["accent", "joined emoji", "soft hyphen"],
)
def test_a_span_that_ends_before_a_part_of_its_character_is_refused(
    text: str, place: tuple[int, int]
):
    with pytest.raises(InputError, match="inside the word"):
        split_at(text, [place])
