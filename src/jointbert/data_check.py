"""What is wrong with a task, line by line: everything at once, not the first fault only."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jointbert.inputs import FILES, SPLITS
from jointbert.jsonl import Row, rows_of
from jointbert.labels import INTENT_FILE, PAD, SLOT_FILE, UNKNOWN, Labels, read_lines
from modelparity import InputError

UNREADABLE = "unreadable"  # a file that is not there or no text: what follows it is unknown


@dataclass(frozen=True)
class Finding:
    """One thing found.

    serious  whether training would fail on it or learn something wrong; the rest is worth knowing
    line     counted from 1; 0 for a whole file or directory. Where one file has fewer lines than
             seq.in, the first that is missing or too many
    """

    path: str
    line: int
    kind: str
    message: str
    serious: bool


def check(data: Path) -> list[Finding]:
    """Every finding, in the order of splits and lines. InputError where there is no task at all."""
    if not data.is_dir():
        raise InputError(f"{data}: no such directory; name one with train, dev and test")
    present = [split for split in SPLITS if _place(data, split).exists()]
    if not present:
        raise InputError(f"{data}: neither train, dev and test nor train.jsonl and so on")
    findings: list[Finding] = []
    for split in SPLITS:
        if split not in present:
            path = str(data / split)
            findings.append(Finding(path, 0, "missing", "no such split", split != "test"))
    rows = {split: list(_rows(data, split, findings)) for split in present}
    labels = _labels(data, rows, findings)
    for split, found in rows.items():
        for row in found:
            findings += _row_findings(data, split, row, labels)
    findings += _duplicates(data, rows)
    order = {str(_file(data, s, n)): i for i, s in enumerate(SPLITS) for n in FILES}
    return sorted(findings, key=lambda one: (order.get(one.path, -1), one.line))


def exit_code(findings: Sequence[Finding]) -> int:
    """0 without errors, 1 with some; 2 where a file cannot be read, so that not all was checked."""
    if any(one.kind == UNREADABLE for one in findings):
        return 2
    return 1 if any(one.serious for one in findings) else 0


def rendered(findings: Sequence[Finding], *, as_json: bool) -> str:
    """The findings as lines `path:line: kind: message`, or as one JSON object."""
    serious = sum(one.serious for one in findings)
    if as_json:
        return json.dumps({"errors": serious, "findings": [asdict(one) for one in findings]})
    lines = []
    for one in findings:
        where = f"{one.path}:{one.line}" if one.line else one.path
        lines.append(f"{where}: {'error' if one.serious else 'note'}: {one.kind}: {one.message}")
    notes = len(findings) - serious
    lines.append(f"{serious} error{'s' * (serious != 1)}, {notes} note{'s' * (notes != 1)}")
    return "\n".join(lines)


def _place(data: Path, split: str) -> Path:
    lines = data / f"{split}.jsonl"
    return lines if lines.exists() and not (data / split).is_dir() else data / split


def _file(data: Path, split: str, name: str) -> Path:
    place = _place(data, split)
    return place if place.suffix == ".jsonl" else place / name


def _rows(data: Path, split: str, findings: list[Finding]) -> Iterator[Row]:
    """The rows that can be read; what cannot becomes a finding."""
    place = _place(data, split)
    lines = place.suffix == ".jsonl"
    before = len(findings)
    columns = [_lines(one, findings) for one in ([place] if lines else [place / n for n in FILES])]
    if len(findings) > before:
        return
    if not columns[0]:
        findings.append(
            Finding(str(_file(data, split, "seq.in")), 0, "empty", "no sentences", True)
        )
    if lines:
        for number, row in enumerate(rows_of(place), 1):
            if isinstance(row, Row):
                yield row
            else:
                message = str(row).removeprefix(f"{place}:{number}: ")
                findings.append(Finding(str(place), number, "wrong line", message, True))
        return
    for name, column in zip(FILES[1:], columns[1:], strict=True):
        if len(column) != len(columns[0]):
            message = f"{len(column)} lines, but seq.in has {len(columns[0])}"
            line = min(len(column), len(columns[0])) + 1
            findings.append(Finding(str(place / name), line, "length mismatch", message, True))
    for number, (words, tags, intent) in enumerate(zip(*columns, strict=False), 1):
        yield Row(number, tuple(words.split()), tuple(tags.split()), intent.strip())


def _labels(data: Path, rows: dict[str, list[Row]], findings: list[Finding]) -> Labels:
    """The label sets: of the label files where they are there, else what training has.

    An empty one is unknown: its file or the training split cannot be read, which is a finding.
    """
    train = rows.get("train", [])
    intents = {row.intent for row in train}
    slots = {label for row in train for label in row.labels}
    for name in (INTENT_FILE, SLOT_FILE):
        if not (data / name).exists():
            continue
        known = [line.strip() for line in _lines(data / name, findings)]
        findings += _label_findings(data / name, known)
        if name == INTENT_FILE:
            intents = set(known)
        else:
            slots = set(known)
    return Labels(tuple(intents), tuple(slots))


def _label_findings(path: Path, known: Sequence[str]) -> Iterator[Finding]:
    for number, label in enumerate(known, 1):
        if not label:
            yield Finding(str(path), number, "empty line", "no label", True)
        elif label in known[: number - 1]:
            yield Finding(str(path), number, "duplicate", f"{label!r} is listed twice", True)
    if path.name == SLOT_FILE and known[:1] != [PAD]:
        yield Finding(str(path), 1, "missing label", f"the first one must be {PAD}", True)
    if UNKNOWN not in known:
        message = f"no {UNKNOWN}, which stands for unknown labels"
        yield Finding(str(path), 0, "missing label", message, True)


def _lines(path: Path, findings: list[Finding]) -> list[str]:
    try:
        return read_lines(path)
    except InputError as error:
        where, _, message = str(error).removeprefix(str(path)).partition(": ")
        line = int(where.removeprefix(":") or 0)
        findings.append(Finding(str(path), line, UNREADABLE, message, True))
        return []


def _row_findings(data: Path, split: str, row: Row, labels: Labels) -> Iterator[Finding]:
    def finding(name: str, kind: str, message: str, serious: bool = True) -> Finding:
        return Finding(str(_file(data, split, name)), row.number, kind, message, serious)

    if not row.words:
        yield finding("seq.in", "empty line", "no words")
    if not row.labels:
        yield finding("seq.out", "empty line", "no slot labels")
    if not row.intent:
        yield finding("label", "empty line", "no intent")
    if row.words and row.labels and len(row.words) != len(row.labels):
        message = f"{len(row.labels)} slot labels for {len(row.words)} words"
        yield finding("seq.out", "length mismatch", message)
    training = split == "train"
    known = "the label file" if training else "the label set of training"
    before = "O"
    for place, label in enumerate(row.labels, 1):
        if label == PAD:
            yield finding("seq.out", "unknown label", f"word {place}: {PAD} stands for padding")
        elif label in ("B-", "I-"):
            yield finding("seq.out", "unknown label", f"word {place}: {label!r} has no type")
        elif labels.slots and label not in labels.slots:
            message = f"word {place}: {label!r} is not in {known}"
            yield finding("seq.out", "unknown label", message, training)
        elif label != "O" and label[:2] not in ("B-", "I-"):
            message = f"word {place}: {label!r} is neither O nor begins with B- or I-"
            yield finding("seq.out", "unknown label", message)
        if label[:2] == "I-" and before[2:] != label[2:]:
            yield finding("seq.out", "I- without B-", f"word {place}: {label!r} behind {before!r}")
        before = label
    if row.intent and labels.intents and row.intent not in labels.intents:
        yield finding("label", "unknown label", f"{row.intent!r} is not in {known}", training)


def _duplicates(data: Path, rows: dict[str, list[Row]]) -> Iterator[Finding]:
    """Sentences of a split that an earlier split has too."""
    seen: dict[tuple[str, ...], tuple[str, str, int]] = {}
    for split, found in rows.items():
        for row in found:
            path = str(_file(data, split, "seq.in"))
            first = seen.setdefault(row.words, (split, path, row.number))
            if row.words and first[0] != split:
                message = f"the sentence is {first[1]}:{first[2]} too"
                yield Finding(path, row.number, "duplicate between splits", message, False)
