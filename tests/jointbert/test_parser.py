"""The parser: the same answers in both frameworks, spans in the original string, nothing cut."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle
from saving import save

pytest.importorskip("torch", reason="both frameworks are needed")
import_paddle()

from jointbert import error_report  # noqa: E402
from jointbert.embedded import sentences  # noqa: E402
from jointbert.parser import FRAMEWORKS, FULL, Parse, Parser, by_length  # noqa: E402
from modelparity.errors import InputError, UsageError  # noqa: E402

Models = Callable[[str, bool], Path]
ODD = [
    "  play   Björk ,  at\u00a0noon 🎉👍🏽!",
    "e\u0301te\u0301 Ünïcödé ½ ﬁ ǅ ß İ ı",
    "東京タワー にいく",
    "don't set-up u.s.a. (now)… [SEP] ##ing",
    "\u200b \u00ad x\u0000y \ufeff",
    "",
    " \t\n",
    "a" * 300,
    "go\r\nto\u2028paris",
    "unassigned \U0001f8de x\u0378y, private \ue000 new \U0001fae8 \U0001fac8",
]
LONG = " ".join(" ".join(words) for words, _, _ in sentences("test")[:12])


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[..., Any]) -> Models:
    directory = tmp_path_factory.mktemp("models")

    def model(framework: str, crf: bool) -> Path:
        path = directory / f"{framework}-{crf}"
        return path if path.exists() else save(path, framework, prepared(crf=crf))

    return model


@pytest.fixture(scope="session")
def parsers(models: Models) -> Callable[..., Parser]:
    made: dict[Any, Parser] = {}

    def parser(by: str, crf: bool, framework: str) -> Parser:
        key = (by, crf, framework)
        if key not in made:
            made[key] = Parser.from_pretrained(models(by, crf), framework, threads=1)
        return made[key]

    return parser


def texts() -> list[str]:
    return [" ".join(words) for words, _, _ in sentences("test")] + ODD + [LONG]


def numbers(parse: Parse) -> list[float]:
    return [
        parse.probability,
        *(one.probability for one in parse.intents),
        *(slot.confidence for slot in parse.slots),
    ]


def without_numbers(parse: Parse) -> Parse:
    return replace(
        parse,
        probability=0.0,
        intents=tuple(replace(one, probability=0.0) for one in parse.intents),
        slots=tuple(replace(slot, confidence=0.0) for slot in parse.slots),
    )


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("by", FRAMEWORKS)
def test_what_one_framework_saved_the_other_predicts_alike(
    parsers: Callable[..., Parser], by: str, crf: bool
):
    ours, theirs = (parsers(by, crf, one).parse(texts()) for one in FRAMEWORKS)
    assert [without_numbers(one) for one in ours] == [without_numbers(one) for one in theirs]
    assert sum(len(one.slots) for one in ours) > 100
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-5, rtol=0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_span_is_the_text_between_its_offsets(parsers: Callable[..., Parser], framework: str):
    spaced = [text.replace(" ", "  \t") + " !" for text in texts()]
    for parse in parsers("torch", False, framework).parse(texts() + spaced):
        for slot in parse.slots:
            assert parse.text[slot.start : slot.end] == slot.text
            assert slot.text.strip() == slot.text != ""


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_sentence_is_answered_the_same_alone_and_among_others(
    parsers: Callable[..., Parser], framework: str, crf: bool
):
    parser, some = parsers("torch", crf, framework), texts()[:20]
    together = parser.parse(some)
    for text, found in zip(some, together, strict=True):
        (alone,) = parser.parse([text])
        assert without_numbers(alone) == without_numbers(found)
        np.testing.assert_allclose(numbers(alone), numbers(found), atol=1e-5, rtol=0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_intents_are_those_of_the_evaluation_that_the_ladder_judges(
    parsers: Callable[..., Parser], models: Models, prepared: Callable[..., Any], framework: str
):
    task = Path(prepared()["data"])
    report = error_report.evaluate(
        models("torch", False), task, "test", framework=framework, threads=1, worst=1000
    )
    told = {one.line: one.predicted_intent for one in report.worst}
    found = parsers("torch", False, framework).parse(texts()[:129])
    assert len(told) > 100
    for line, intent in told.items():
        if found[line - 1].windows == 1:
            assert found[line - 1].intent == intent


def test_a_long_text_is_read_in_overlapping_windows(parsers: Callable[..., Parser]):
    parser = parsers("torch", False, "torch")
    (found,) = parser.parse([LONG])
    assert found.windows > 3
    assert not found.truncated
    assert max(slot.end for slot in found.slots) > len(LONG) - 40


def test_windows_decide_on_every_word_once(parsers: Callable[..., Parser]):
    parser = parsers("torch", False, "torch")
    words = [w for text in texts() for w in parser._windows(0, _words(text))]
    for text in [LONG, LONG * 3, "a" * 300 + " " + LONG, "x " * 200]:
        windows = list(parser._windows(0, _words(text)))
        decided = [place for one in windows for place in range(*one.decided)]
        assert decided == list(range(len(text.split())))
        for one in windows:
            assert one.first <= one.decided[0] < one.decided[1] <= one.last
            assert len(one.pieces) <= parser.settings["max_seq_len"] - 2
    assert words


def _words(text: str) -> Any:
    from jointbert.spans import words_of

    return words_of(text)


def test_a_word_that_is_too_long_is_said_to_be_cut(parsers: Callable[..., Parser]):
    # 60 letters: more pieces than fit, and not yet too long to be one unknown piece
    found = parsers("torch", False, "torch").parse(["x" * 60, "stop"])
    assert [one.truncated for one in found] == [True, False]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_text_without_a_word_has_no_intent(parsers: Callable[..., Parser], framework: str):
    (found,) = parsers("torch", False, framework).parse([" \n"])
    assert (found.intent, found.slots, found.intents) == (None, (), ())


def test_no_text_gives_no_answer(parsers: Callable[..., Parser]):
    assert parsers("torch", False, "torch").parse([]) == []


def test_the_named_intents_come_in_order_of_probability(parsers: Callable[..., Parser]):
    (found,) = parsers("torch", False, "torch").parse(["stop"], top_k=100)
    values = [one.probability for one in found.intents]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("stop", UsageError, "list of texts"),
        (["stop", 3], InputError, "text 1: int"),
        (["\ud83d"], InputError, "surrogate"),
    ],
)
def test_what_is_no_text_is_named(
    parsers: Callable[..., Parser], given: Any, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        parsers("torch", False, "torch").parse(given)


def test_an_unknown_framework_is_named(models: Models):
    with pytest.raises(UsageError, match="framework 'jax'"):
        Parser.from_pretrained(models("torch", False), "jax")


def test_bfloat16_is_refused_where_there_is_none(models: Models):
    with pytest.raises(UsageError, match="bfloat16"):
        Parser.from_pretrained(models("torch", False), "paddle", precision="bfloat16")


@pytest.mark.parametrize("lengths", [[], [7], [50] * 40, [60, 3, 3, 50, 4] * 30], ids=len)
def test_batches_take_every_sentence_once_and_no_more_pieces_than_long_ones_would(lengths):
    batches = list(by_length(lengths, max_seq_len=50))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    widths = [(len(batch), max(lengths[place] for place in batch)) for batch in batches]
    assert all(rows * longest <= FULL * 50 for rows, longest in widths if rows > 1)
