"""A task as JSON Lines with character spans, the form in which predictions come too.

A directory with `train.jsonl`, `dev.jsonl` and, if there is one, `test.jsonl`. A line is an object:
`text`, its `intent`, and `slots`, a list of objects with `type`, `start` and `end`, counted in
characters of `text`. A slot's `text` may be given too, and is then checked. Other keys are ignored.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jointbert.checkpoint import written_whole
from jointbert.inputs import FILES, SPLITS
from jointbert.labels import INTENT_FILE, SLOT_FILE, read_lines
from jointbert.spans import Span, labels_of, split_at
from modelparity import InputError


@dataclass(frozen=True)
class Row:
    """One line in the other layout: words, their labels, the intent."""

    number: int
    words: tuple[str, ...]
    labels: tuple[str, ...]
    intent: str


def rows_of(path: Path) -> Iterator[Row | InputError]:
    """Every line of a file, or what is wrong with it. InputError where there is no file."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            yield _row(number, line)
        except InputError as error:
            yield InputError(f"{path}:{number}: {error}")


def as_task(source: Path, target: Path) -> Path:
    """Write the task in the seq.in/seq.out/label layout below `target` and return it.

    Raises InputError at the first line that is wrong, before anything is written.
    """
    splits = [split for split in SPLITS if (source / f"{split}.jsonl").exists()]
    if not splits:
        raise InputError(f"{source}: no train.jsonl, dev.jsonl or test.jsonl")
    files: dict[str, Iterable[str]] = {}
    for split in splits:
        rows = _all_rows(source / f"{split}.jsonl")
        columns = (
            (" ".join(row.words) for row in rows),
            (" ".join(row.labels) for row in rows),
            (row.intent for row in rows),
        )
        files |= {f"{split}/{name}": lines for name, lines in zip(FILES, columns, strict=True)}
    for name in (INTENT_FILE, SLOT_FILE):
        if (source / name).exists():
            files[name] = read_lines(source / name)
    for name, lines in files.items():
        with written_whole(target / name) as unfinished:
            unfinished.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))
    return target


def _all_rows(path: Path) -> list[Row]:
    rows = []
    for row in rows_of(path):
        if isinstance(row, InputError):
            raise row
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no sentences; a split needs at least one")
    return rows


def _row(number: int, line: str) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({error}); write one object a line") from None
    if not isinstance(value, dict):
        raise InputError("not an object; write text, intent and slots")
    text, intent = _word(value, "text"), _word(value, "intent").strip()
    if not text.strip():
        raise InputError("text is empty; remove this line")
    if not intent or "\n" in intent:
        raise InputError("intent is empty or has a line break; write one label")
    slots = value.get("slots", [])
    if not isinstance(slots, list) or not all(isinstance(slot, dict) for slot in slots):
        raise InputError("slots is not a list of objects; write type, start and end of each")
    places = [_place(slot, text) for slot in slots]
    words = split_at(text, places)
    spans: list[Span] = []
    for slot, (start, end) in sorted(zip(slots, places, strict=True), key=lambda pair: pair[1]):
        inside = [n for n, word in enumerate(words) if start < word.end and word.start < end]
        span = Span(_word(slot, "type"), inside[0], inside[-1] + 1)
        if spans and span.first < spans[-1].last:
            raise InputError(f"slots {spans[-1].type} and {span.type} overlap; keep one of them")
        if not span.type or span.type.split() != [span.type]:
            raise InputError(f"slot type {span.type!r} is empty or has a space; write one word")
        spans.append(span)
    texts = tuple(word.text for word in words)
    return Row(number, texts, tuple(labels_of(spans, len(words))), intent)


def _word(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise InputError(f"{key} is {found!r}; write a string")
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{key} holds half of a surrogate pair; write the whole one") from None
    return found


def _place(slot: Mapping[str, Any], text: str) -> tuple[int, int]:
    start, end = slot.get("start"), slot.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise InputError(
            f"slot {slot.get('type')!r}: [{start}, {end}) is no part of a text of {len(text)}"
            " characters"
        )
    if "text" in slot and slot["text"] != text[start:end]:
        raise InputError(
            f"slot {slot.get('type')!r}: its text is {slot['text']!r}, but [{start}, {end}) is"
            f" {text[start:end]!r}"
        )
    if not text[start:end].strip():
        raise InputError(f"slot {slot.get('type')!r}: [{start}, {end}) is white space")
    return start, end
