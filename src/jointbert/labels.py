"""Label sets of a task: the one thing both sides may share, because no step puts it on trial.

A task is a directory `{train,dev,test}/{seq.in,seq.out,label}`: a sentence a line, its words,
their slot labels and its intent. `intent_label.txt` and `slot_label.txt` beside them hold one label
a line in the order of the ids; where a file is absent its set is made from the training split. A
saved model names its labels in config.json.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelparity import InputError

PAD = "PAD"
UNKNOWN = "UNK"
INTENT_FILE = "intent_label.txt"
SLOT_FILE = "slot_label.txt"
SECTION = "jointbert"  # of a saved model's config.json


@dataclass(frozen=True)
class Labels:
    """Labels by id. `slots` begins with PAD; both hold UNK, which stands for unknown labels."""

    intents: tuple[str, ...]
    slots: tuple[str, ...]


def read_labels(data: str | Path) -> Labels:
    """The label sets of the task, or of the saved model, in `data`.

    Sets made from the training split are sorted behind UNK (intents) and PAD, UNK (slots). Raises
    InputError for files that are absent, empty, ambiguous or lack these labels.
    """
    directory = Path(data)
    saved = _saved(directory / "config.json")
    if saved is not None:
        return saved
    intents, slots = directory / INTENT_FILE, directory / SLOT_FILE
    return Labels(
        intents=_read(intents, (), (UNKNOWN,)) if intents.exists() else _made_intents(directory),
        slots=_read(slots, (PAD,), (UNKNOWN,)) if slots.exists() else _made_slots(directory),
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file in UTF-8, ended by newlines only; raises InputError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a split needs seq.in, seq.out and label") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte {error.start} is not UTF-8; convert the file to UTF-8"
        ) from None
    if text.startswith("\ufeff"):
        raise InputError(f"{path}:1: begins with a byte order mark; save it as UTF-8 without one")
    # Not splitlines(): it would also cut at characters that occur inside sentences.
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _saved(path: Path) -> Labels | None:
    if not path.exists():
        return None
    try:
        section = json.loads(path.read_text(encoding="utf-8")).get(SECTION)
        if not section:
            return None
        labels = Labels(tuple(section["intents"]), tuple(section["slots"]))
    except KeyError as error:
        raise InputError(f"{path}: section {SECTION!r} lacks {error}; save it again") from None
    except (OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: its labels cannot be read ({error}); save it again") from None
    for found, needed in ((labels.intents, {UNKNOWN}), (labels.slots, {PAD, UNKNOWN})):
        sound = all(isinstance(label, str) for label in found) and needed <= set(found)
        if not sound or len(set(found)) < len(found) or (PAD in needed and found[0] != PAD):
            raise InputError(f"{path}: its labels are not those that were saved; save it again")
    return labels


def _read(path: Path, first: tuple[str, ...], needed: tuple[str, ...]) -> tuple[str, ...]:
    labels = tuple(line.strip() for line in read_lines(path))
    seen: set[str] = set()
    for number, label in enumerate(labels, 1):
        if not label:
            raise InputError(f"{path}:{number}: empty label; write one label a line")
        if label in seen:
            raise InputError(f"{path}:{number}: {label!r} is listed twice; keep one of the two")
        seen.add(label)
    if labels[: len(first)] != first:
        raise InputError(f"{path}:1: the first label must be {first[0]}; put it there")
    for label in needed:
        if label not in seen:
            raise InputError(f"{path}: {label} is missing; add it, it stands for unknown labels")
    return labels


def _made_intents(directory: Path) -> tuple[str, ...]:
    lines = read_lines(directory / "train" / "label")
    return _ordered((UNKNOWN,), (line.strip() for line in lines))


def _made_slots(directory: Path) -> tuple[str, ...]:
    lines = read_lines(directory / "train" / "seq.out")
    return _ordered((PAD, UNKNOWN), (label for line in lines for label in line.split()))


def _ordered(first: tuple[str, ...], found: Iterable[str]) -> tuple[str, ...]:
    return (*first, *sorted(set(found) - set(first) - {""}))
