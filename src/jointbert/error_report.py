"""What a saved model gets wrong on a split: scores by intent and by slot, confusions, sentences."""

import importlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jointbert import saved
from jointbert.inputs import check_split
from jointbert.parser import require
from jointbert.spans import spans_of
from modelparity import InputError, UsageError

SCORES = ("intent_acc", "slot_precision", "slot_recall", "slot_f1", "semantic_frame_acc", "loss")


@dataclass(frozen=True)
class Row:
    """Precision, recall and F1 of one label, and how often it is due (support)."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """How often one intent was taken for another."""

    gold: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Sentence:
    """A sentence that the model got wrong.

    line   its number in the split's files
    loss   what it is sorted by
    slots  `gold` and `predicted` are the labels of its words, as many as the model read
    """

    line: int
    text: str
    loss: float
    gold_intent: str
    predicted_intent: str
    gold: tuple[str, ...]
    predicted: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything about one evaluation; plain data."""

    model: str
    split: str
    framework: str
    sentences: int
    cut: tuple[int, ...]  # lines longer than max_seq_len, whose last words were not read
    scores: dict[str, float]
    intents: tuple[Row, ...]
    slots: tuple[Row, ...]
    confusions: tuple[Confusion, ...]
    wrong: int  # sentences with any error
    worst: tuple[Sentence, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


def evaluate(
    model: str | Path,
    data: Path,
    split: str,
    *,
    framework: str = "torch",
    precision: str = "float32",
    threads: int = 0,
    eval_batch_size: int = 64,
    worst: int = 20,
) -> Report:
    """Evaluate a saved model by the side's own `evaluate`, which the ladder judges.

    Raises UsageError and InputError.
    """
    require(framework)
    found = saved.read(model)
    if not data.is_dir():
        raise InputError(f"data {data}: no such directory; name one with train, dev and test")
    if not (data / split).is_dir():
        raise UsageError(f"--split {split}: {data} has no such directory")
    check_split(data / split)
    settings = saved.settings_of(
        found,
        data=str(data),
        precision=precision,
        threads=threads,
        eval_batch_size=eval_batch_size,
    )
    side = f"jointbert.in_{framework}"
    network = importlib.import_module(f"{side}.predict").load(settings)
    result = importlib.import_module(f"{side}.metrics").evaluate(network, settings, split)
    examples = importlib.import_module(f"{side}.data").encode(settings, split)
    return _report(found, split, framework, examples, result, worst)


def _report(
    found: saved.Saved,
    split: str,
    framework: str,
    examples: Sequence[Any],
    result: dict[str, Any],
    worst: int,
) -> Report:
    names, intents = found.labels.slots, found.labels.intents
    gold = [tuple(names[s] for s in e.slots if s != found.ignore_index) for e in examples]
    ends = np.cumsum([len(one) for one in gold])
    flat = [names[int(s)] for s in result["slot_predictions"]]
    said = [tuple(flat[end - len(one) : end]) for one, end in zip(gold, ends, strict=True)]
    gold_intents = [intents[e.intent] for e in examples]
    said_intents = [intents[int(i)] for i in result["intent_predictions"]]
    missed = Counter((g, p) for g, p in zip(gold_intents, said_intents, strict=True) if g != p)
    wrong = [
        Sentence(n + 1, " ".join(e.words), float(result["losses"][n]), *both, gold[n], said[n])
        for n, (e, both) in enumerate(
            zip(examples, zip(gold_intents, said_intents, strict=True), strict=True)
        )
        if both[0] != both[1] or gold[n] != said[n]
    ]
    wrong.sort(key=lambda one: -one.loss)
    return Report(
        model=str(found.directory),
        split=split,
        framework=framework,
        sentences=len(examples),
        cut=tuple(n for n, e in enumerate(examples, 1) if e.pieces > found.max_seq_len),
        scores={name: float(result[name]) for name in SCORES},
        intents=_rows(
            [{(one, 0, 0)} for one in gold_intents], [{(one, 0, 0)} for one in said_intents]
        ),
        slots=_rows([set(spans_of(x)) for x in gold], [set(spans_of(x)) for x in said]),
        confusions=tuple(Confusion(*pair, count) for pair, count in missed.most_common()),
        wrong=len(wrong),
        worst=tuple(wrong[:worst]),
    )


def _rows(
    gold: Sequence[set[tuple[str, int, int]]], said: Sequence[set[tuple[str, int, int]]]
) -> tuple[Row, ...]:
    """A row a label that is due or predicted, the most frequent first."""
    right = Counter(kind for g, s in zip(gold, said, strict=True) for kind, _, _ in g & s)
    due = Counter(kind for one in gold for kind, _, _ in one)
    found = Counter(kind for one in said for kind, _, _ in one)
    rows = []
    for label in sorted({*due, *found}, key=lambda x: (-due[x], x)):
        precision = right[label] / found[label] if found[label] else 0.0
        recall = right[label] / due[label] if due[label] else 0.0
        f1 = 2 * right[label] / (due[label] + found[label])
        rows.append(Row(label, precision, recall, f1, due[label]))
    return tuple(rows)
