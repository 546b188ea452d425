"""Mistakes in a loss: over what it is summed, and by what it is divided."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis

Array = np.ndarray[Any, Any]

REPRODUCES = 1e-9
SMOOTHED = (0.1, 0.05, 0.2, 0.01, 0.15, 0.3)  # usual shares


def hypotheses(
    reference: Array,
    logits: Mapping[str, Array],
    labels: Mapping[str, Array],
    mask: Array | None,
) -> Iterator[Hypothesis]:
    """What a cross entropy would be with other positions or another reduction.

    reference  the loss, a single number; logits  (..., C) by name; labels  (...) class numbers
    Nothing where no usual form of it reproduces the reference.
    """
    for scores in logits.values():
        for classes in labels.values():
            if scores.ndim < 2 or classes.shape != scores.shape[:-1]:
                continue
            forms = list(_forms(scores, classes, mask))
            met = [t for t, v in forms if abs(v - float(reference)) <= REPRODUCES * abs(v)]
            if met:
                seen: set[float] = set()
                for text, value in (*_indexed(scores, classes, mask), *forms):
                    if text != met[0] and value not in seen:
                        seen.add(value)
                        yield f"it is {text}, not {met[0]}", np.full(reference.shape, value)
                return


def _indexed(scores: Array, classes: Array, mask: Array | None) -> Iterator[tuple[str, float]]:
    """The mean that an integer mask makes where it is taken for numbers of positions."""
    if mask is None or mask.shape != classes.shape or classes.size < 2:
        return
    known, losses, _ = _losses(scores, classes)
    rows = mask.astype(bool).astype(np.int64).reshape(-1)
    for taken in (known, known & (classes != 0)):
        mean = _mean_of(losses.reshape(-1)[rows], taken.reshape(-1)[rows])
        yield "the mean over positions 0 and 1, picked by an integer mask as if by an index", mean


def _losses(scores: Array, classes: Array) -> tuple[Array, Array, Array]:
    """Per position: whether its label is a class, its cross entropy, its log-probabilities."""
    known = (classes >= 0) & (classes < scores.shape[-1])
    logs = scores - scores.max(-1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(-1, keepdims=True))
    picked = np.take_along_axis(logs, np.where(known, classes, 0)[..., None], -1)[..., 0]
    return known, np.where(known, -picked, 0.0), logs


def _forms(scores: Array, classes: Array, mask: Array | None) -> Iterator[tuple[str, float]]:
    """(a cross entropy in words, its value)."""
    known, losses, logs = _losses(scores, classes)
    smoothed = {
        share: np.where(known, (1.0 - share) * losses - share * logs.mean(-1), 0.0)
        for share in SMOOTHED
    }
    chosen = {"labelled positions": known, "all positions": np.ones_like(known)}
    chosen["positions whose label is not 0"] = known & (classes != 0)
    if mask is not None and mask.shape == classes.shape:
        chosen["positions that are not padding"] = known & mask.astype(bool)
        chosen["positions at padding"] = known & ~mask.astype(bool)
    for where, taken in chosen.items():
        total, count = float(losses[taken].sum()), int(taken.sum())
        if not count:
            continue
        yield f"the mean over {where}", total / count
        yield f"the sum over {where}", total
        yield f"the sum over {where}, divided by the sentences", total / classes.shape[0]
        yield f"the sum over {where}, divided by all positions", total / classes.size
        yield f"the first sentence's mean over {where}", _mean_of(losses[:1], taken[:1])
        yield f"the last sentence's mean over {where}", _mean_of(losses[-1:], taken[-1:])
        axes = tuple(range(1, classes.ndim))
        if axes:
            each = (losses * taken).sum(axes) / np.maximum(taken.sum(axes), 1)
            yield f"the mean over sentences of their means over {where}", float(each.mean())
        for share, values in smoothed.items():
            text = f"the mean over {where}, labels smoothed by {share:g}"
            yield text, float(values[taken].sum() / count)


def _mean_of(losses: Array, taken: Array) -> float:
    return float(losses[taken].mean()) if taken.any() else 0.0
