"""Why two arrays differ: mistakes are tried on the reference until one makes the candidate.

A hypothesis is a mistake in words, and what the candidate would hold if it had been made. It is
offered as a hint only where it closes the gap to a thousandth, and the hint says so with figures.
What a hypothesis cannot predict it leaves NaN.

    arrays      any two arrays: layout, order, sign, ratio, offset, shift
    layers      a module's own formula: eps, form of an activation, bias, rows of an embedding
    attention   heads, mask, scale
    wiring      what stands between modules: sums, positions, the wrong module's output
    dropouts    what a dropout acts on
    optimizers  Adam and its kin, decay
    clipping    norms and limits
    replay      the same on samples of a training: rules, decays, clipping
    schedules   shapes of a learning rate
    curves      where two trainings part
    scores      decisions and losses, counted otherwise
    losses      reductions of a cross entropy
    batches     rows of data: order, batches, cuts, renumbered labels
    laws        how initial values are drawn
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from modelparity.diff import rms

Array = np.ndarray[Any, Any]
Hypothesis = tuple[str, Array]  # the mistake in words, and the candidate's values under it

CLOSES = 1e-3  # the share of the gap that a hypothesis may leave
FEW = 8  # elements
JUDGED = 0.5  # the share of the elements that a hypothesis must predict
ENOUGH = 3  # hints a finding


@dataclass(frozen=True)
class Hint:
    """What explains a gap: rms of the difference before it, and left by it; no gap for words."""

    text: str
    before: float = 0.0
    after: float = 0.0

    def __str__(self) -> str:
        if not self.before:
            return self.text
        if self.after == 0.0:
            return f"{self.text}: that explains every element"
        return f"{self.text}: the gap falls from {self.before:.1e} to {self.after:.1e}"


def closing(candidate: Array, reference: Array, hypotheses: Iterable[Hypothesis]) -> Iterator[Hint]:
    """The hypotheses that explain the gap between two arrays of one shape, as they come."""
    c = candidate.astype(np.float64)
    for text, predicted in hypotheses:
        if predicted.shape != c.shape or not c.size:
            continue
        judged = np.isfinite(predicted)
        if np.count_nonzero(judged) < JUDGED * c.size:
            continue
        if judged.all():
            before, after = rms(c - reference), rms(c - predicted)
        else:
            before = rms((c - reference)[judged])
            after = rms(c[judged] - predicted[judged])
        closes = CLOSES if c.size > FEW else CLOSES**2  # a few numbers are met by chance
        if after <= closes * before and before > 0.0:
            yield Hint(text, before, after)


def first_few(hints: Iterable[Hint]) -> tuple[str, ...]:
    """The first hints in words; those that leave a thousand times more than the best are none."""
    found = list(islice(hints, 2 * ENOUGH))
    best = min((hint.after for hint in found), default=0.0)
    kept = [h for h in found if h.after <= max(1e3 * best, 1e-12 * h.before)]
    return tuple(dict.fromkeys(str(hint) for hint in kept))[:ENOUGH]
