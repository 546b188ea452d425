"""Mistakes in scoring: what the same decisions score when they are counted otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis

Array = np.ndarray[Any, Any]
Spans = list[tuple[str, int, int]]  # kind, first, behind the last

BATCHES = (8, 16, 32, 64, 128, 256)
OUTSIDE = "O"
FORMATS: tuple[tuple[str, Any], ...] = (("float16", np.float16), ("float32", np.float32))


def of_scores(name: str, others: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """A score that is made of others of the same side, single numbers by their names."""
    found = {other: float(value) for other, value in others.items() if other != name}
    for other, value in found.items():
        yield f"it is {other}", np.array(value)
    for (first, a), (second, b) in combinations(found.items(), 2):
        yield f"it is the mean of {first} and {second}", np.array(0.5 * (a + b))
        yield f"it is {first} times {second}", np.array(a * b)


def of_value(value: Array) -> Iterator[Hypothesis]:
    """A single number in another form."""
    yield "it is in percent", 100.0 * value
    yield "it is what is missing to 1", 1.0 - value
    yield "it is the exponential of it, as a perplexity is", np.exp(value)
    yield "it is in bits", value / np.log(2.0)
    for name, dtype in FORMATS:
        yield f"it went through {name}", value.astype(dtype).astype(np.float64)


def of_losses(losses: Array) -> Iterator[Hypothesis]:
    """A split's loss from that of each example (N,)."""
    for name, dtype in FORMATS:
        rounded = losses.astype(dtype).astype(np.float64)
        yield f"the examples' losses went through {name}", np.array(rounded.mean())
    for text, kept in _beginnings(losses.size):
        yield f"it is the mean of {text}", np.array(losses[kept].mean())
    yield "it is the sum of the examples' losses", np.array(losses.sum())
    yield "it is the mean of the examples' losses", np.array(losses.mean())
    yield "it is the loss of the last example", np.array(losses[-1])
    for size in BATCHES:
        means = [losses[i : i + size].mean() for i in range(0, len(losses), size)]
        text = f"it is the mean of the means of batches of {size}"
        yield f"{text}, so that the last batch weighs as much", np.array(np.mean(means))
        yield f"it is the mean of the last batch of {size}", np.array(means[-1])


def of_decisions(predicted: Array, gold: Array, words: Sequence[str]) -> Iterator[Hypothesis]:
    """Scores of decisions (N,) against what is right (N,); words  the labels' names, or none."""
    if predicted.shape != gold.shape or predicted.ndim != 1 or not gold.size:
        return
    right = predicted == gold
    for text, kept in _beginnings(gold.size):
        yield f"it is the share of right ones among {text}", np.array(right[kept].mean())
    for value in np.unique(gold):
        if (gold != value).any():
            label = repr(words[value]) if 0 <= value < len(words) else str(value)
            text = f"those whose right label is {label} are not counted"
            yield text, np.array(right[gold != value].mean())
    yield "it is the share of single labels that are right", np.array(right.mean())
    values, counts = np.unique(gold, return_counts=True)
    outside = words.index(OUTSIDE) if OUTSIDE in words else int(values[np.argmax(counts)])
    due, said = gold != outside, predicted != outside
    yield from _three("single labels", (right & due).sum(), said.sum(), due.sum())
    if due.any():
        text = "it is the share of right labels among those that are not outside"
        yield text, np.array(right[due].mean())
    each = [
        _scores((right & (gold == v)).sum(), (predicted == v).sum(), (gold == v).sum())
        for v in values
    ]
    yield from _averages("single labels", each, counts)
    inner = [one for one, value in zip(each, values, strict=True) if value != outside]
    yield from _averages("single labels but the outside one", inner, counts[values != outside])
    if words and max(gold.max(), predicted.max()) < len(words) and OUTSIDE in words:
        yield from _of_spans(_spans(predicted, words), _spans(gold, words))
        said, due = (_spans(labels, words, strict=True) for labels in (predicted, gold))
        text = "whole entities where one that begins with I- is none"
        yield from _three(text, len(set(said) & set(due)), len(said), len(due))


def _of_spans(said: Spans, due: Spans) -> Iterator[Hypothesis]:
    kinds = sorted({kind for kind, _, _ in due})
    yield from _three("whole entities", len(set(said) & set(due)), len(said), len(due))
    for kind in kinds:
        kept = [{s for s in spans if s[0] != kind} for spans in (said, due)]
        counts = len(kept[0] & kept[1]), len(kept[0]), len(kept[1])
        yield from _three(f"whole entities but those of type {kind!r}", *counts)
    each, support = [], []
    for kind in kinds:
        ours, theirs = ({s for s in spans if s[0] == kind} for spans in (due, said))
        each.append(_scores(len(ours & theirs), len(theirs), len(ours)))
        support.append(len(ours))
    yield from _averages("whole entities", each, np.array(support))
    bare_said, bare_due = ({s[1:] for s in spans} for spans in (said, due))
    right = len(bare_said & bare_due)
    yield from _three("entities whatever their type", right, len(bare_said), len(bare_due))


def _beginnings(size: int) -> Iterator[tuple[str, slice]]:
    """The examples that are left where the last batch, or example, is."""
    for count in dict.fromkeys(size - (size % batch or batch) for batch in (1, *BATCHES)):
        if 0 < count < size:
            yield f"the first {count} of {size}", slice(count)


def _spans(labels: Array, words: Sequence[str], strict: bool = False) -> Spans:
    """Entities of IOB labels, all sentences as one; `strict` ones begin with B-."""
    found: Spans = []
    kind, first = "", 0
    for place, label in enumerate([*(words[i] for i in labels), OUTSIDE]):
        prefix, name = (label[:2], label[2:]) if label[:2] in ("B-", "I-") else ("", "")
        other = prefix == "I-" and name != kind
        begins = prefix == "B-" or (other and not strict)
        if kind and (begins or other or not prefix):
            found.append((kind, first, place))
            kind = ""
        if begins:
            kind, first = name, place
    return found


def _scores(right: int, said: int, due: int) -> tuple[float, float, float]:
    precision, recall = right / said if said else 0.0, right / due if due else 0.0
    return precision, recall, 2.0 * right / (said + due) if said + due else 0.0


def _three(what: str, right: int, said: int, due: int) -> Iterator[Hypothesis]:
    names = ("precision", "recall", "F1")
    found = _scores(right, said, due)
    for name, value in zip(names, found, strict=True):
        yield f"it is the {name} of {what}", np.array(value)
    text = "mean of precision and recall"
    yield f"it is the {text} of {what}", np.array(0.5 * (found[0] + found[1]))


def _averages(
    what: str, each: Sequence[tuple[float, float, float]], support: Array
) -> Iterator[Hypothesis]:
    if not each:
        return
    table = np.array(each)
    for name, column in zip(("precision", "recall", "F1"), table.T, strict=True):
        yield (
            f"it is the macro average, over types, of the {name} of {what}",
            np.array(column.mean()),
        )
        weighted = np.array((column * support).sum() / support.sum())
        yield f"it is the average of the {name} of {what}, weighted by support", weighted


def agreeing(candidate: Mapping[str, Array], reference: Mapping[str, Array]) -> list[str]:
    """The arrays (N, ...) that are alike on both sides, to 1e-12."""
    return [
        name
        for name, array in reference.items()
        if array.ndim
        and name in candidate
        and candidate[name].shape == array.shape
        and np.allclose(candidate[name], array, rtol=1e-12, atol=1e-12)
    ]
