"""Words of a string with their places, and slot labels as spans of it.

Offsets count the characters of the string as given: nothing is put into lower case, normalised or
joined anew on the way.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from modelparity import InputError

OUTSIDE = ("O", "PAD", "UNK")  # labels that name no slot
CLOSING = ",.;:!?…"  # what ends a sentence or a part of it


class Word(NamedTuple):
    """What stands between white space, and where."""

    text: str
    start: int
    end: int


class Span(NamedTuple):
    """A slot's type and the words that it covers, [first, last)."""

    type: str
    first: int
    last: int


def words_of(text: str) -> list[Word]:
    """The words of a string, as `str.split()` finds them."""
    return [Word(m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", text)]


def spans_of(labels: Sequence[str]) -> list[Span]:
    """The spans of IOB labels (Tjong Kim Sang and Buchholz, 2000).

    A span begins at B-, at I- of another type than the word before, and at I- behind no span.
    PAD and UNK are outside; another label without a prefix is outside too.
    """
    spans: list[Span] = []
    for place, label in enumerate(labels):
        prefix, kind = label[:2], label[2:]
        if label in OUTSIDE or prefix not in ("B-", "I-"):
            continue
        before = spans[-1] if spans else Span("", 0, -1)
        if prefix == "I-" and before.last == place and before.type == kind:
            spans[-1] = before._replace(last=place + 1)
        else:
            spans.append(Span(kind, place, place + 1))
    return spans


def labels_of(spans: Iterable[Span], words: int) -> list[str]:
    """IOB labels of spans that do not overlap: the inverse of `spans_of`."""
    labels = ["O"] * words
    for span in spans:
        labels[span.first] = f"B-{span.type}"
        for place in range(span.first + 1, span.last):
            labels[place] = f"I-{span.type}"
    return labels


def place_of(span: Span, words: Sequence[Word]) -> tuple[int, int]:
    """The characters [start, end) that a span covers.

    A comma or the like behind its last word does not belong to it, nor does a full stop at the end
    of the string unless the word has another one ("d.c.").
    """
    start, last = words[span.first].start, words[span.last - 1]
    bare = last.text.rstrip(CLOSING)
    tail = last.text[len(bare) :]
    abbreviated = tail.startswith(".") and ("." in bare or span.last < len(words))
    if not bare or abbreviated:
        return start, last.end
    return start, last.start + len(bare)


def split_at(text: str, places: Iterable[tuple[int, int]]) -> list[Word]:
    """Words of a string, cut further where a span [start, end) begins or ends inside one.

    Not between two letters or digits, nor before what belongs to the character before it (an
    accent, the next part of a joined emoji): InputError.
    """
    cuts = sorted({edge for place in places for edge in place})
    words: list[Word] = []
    for word in words_of(text):
        edges = [word.start, *(c for c in cuts if word.start < c < word.end), word.end]
        for edge in edges[1:-1]:
            if _together(text[edge - 1], text[edge]):
                raise InputError(
                    f"a span begins or ends inside the word {word.text!r} (character {edge})"
                )
        words += [Word(text[a:b], a, b) for a, b in pairwise(edges)]
    return words


def _together(before: str, after: str) -> bool:
    """Whether two characters belong to one word."""
    kinds = [unicodedata.category(character) for character in (before, after)]
    return (before.isalnum() and after.isalnum()) or "Cf" in kinds or kinds[1].startswith("M")
