"""How two training curves part: where, and whether at once or little by little."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelparity.diagnose import Hint

Array = np.ndarray[Any, Any]

SAME = 1e-12  # relative: float64 rounding, grown over some updates
JUMP = 1e3  # times the gap before


def parting(candidate: Array, reference: Array) -> int | None:
    """The first point at which two curves (n,) in float64 differ; None where none does."""
    if candidate.shape != reference.shape:
        return None
    apart = np.flatnonzero(~(_gap(candidate, reference) <= SAME))
    return int(apart[0]) if apart.size else None


def _gap(candidate: Array, reference: Array) -> Array:
    gap: Array = np.abs(candidate - reference) / np.maximum(np.abs(reference), 1e-300)
    return gap


def explain(candidate: Array, reference: Array) -> Iterator[Hint]:
    """What the first point apart says about the updates before it; curves (n,) in float64."""
    first = parting(candidate, reference)
    if first is None:
        return
    gap = _gap(candidate, reference)
    before = float(gap[:first].max()) if first else 0.0
    if first == 0:
        yield Hint("the curves differ before any update: the forward pass or the batches differ")
    elif first == 1:
        yield Hint(
            "the first loss agrees and the second does not: the gradient, its clipping or the "
            "update differs from the start"
        )
    elif gap[first] > JUMP * max(before, 1e-16):
        yield Hint(
            f"the losses of updates 0 to {first - 1} agree to {max(before, 1e-16):.0e}, that of "
            f"update {first} differs by {gap[first]:.0e}: something changes at once in the update "
            "before it, as where state (moments, counts, masks, a mode) is lost or made anew"
        )
    else:
        yield Hint(f"the gap grows from update {first} on: a small difference in every update")
