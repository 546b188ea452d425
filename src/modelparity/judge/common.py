"""What every rule shares: what cannot be compared, and how a distance becomes a finding."""

from typing import Any

import numpy as np

from modelparity.diff import measure
from modelparity.model import Diff, Finding, Outcome

Array = np.ndarray[Any, Any]

ONLY_DTYPE = "the values are equal: cast them to the other dtype"
TRANSPOSED = "the shapes are each other's transpose: declare it in the case's rules"
SQUEEZED = "an axis of length 1 is gone, as where squeeze() is not told which: name the axis"
UNSQUEEZED = "there is an axis of length 1 more, as where a sum keeps its axis: squeeze that axis"


def unfit(name: str, rule: str, candidate: Array, reference: Array) -> Finding | None:
    """What makes two arrays incomparable, before any value is looked at."""
    shapes = misshapen(name, rule, candidate, reference)
    if shapes:
        return shapes
    if candidate.dtype != reference.dtype:
        message = f"dtype {candidate.dtype} against {reference.dtype}"
        hints = (ONLY_DTYPE,) if np.array_equal(candidate, reference) else ()
        return Finding(name, rule, Outcome.DIVERGED, message, hints, np.inf)
    if reference.size == 0:
        return Finding(name, rule, Outcome.INCONCLUSIVE, "there is nothing to compare: no elements")
    return None


def misshapen(name: str, rule: str, candidate: Array, reference: Array) -> Finding | None:
    """Another shape."""
    if candidate.shape == reference.shape:
        return None
    message = f"shape {candidate.shape} against {reference.shape}"
    hints = _of_shapes(candidate.shape, reference.shape)
    return Finding(name, rule, Outcome.DIVERGED, message, hints, np.inf)


def _of_shapes(candidate: tuple[int, ...], reference: tuple[int, ...]) -> tuple[str, ...]:
    """What two unequal shapes say by themselves."""
    if candidate == reference[::-1]:
        return (TRANSPOSED,)
    if [n for n in candidate if n != 1] != [n for n in reference if n != 1]:
        return ()
    return (SQUEEZED if len(candidate) < len(reference) else UNSQUEEZED,)


def distance(name: str, rule: str, *, candidate: Array, reference: Array) -> Diff | Finding:
    """How far apart two arrays lie; the finding where that cannot be said."""
    wrong = unfit(name, rule, candidate, reference)
    if wrong:
        return wrong
    diff = measure(candidate=candidate, reference=reference)
    return nonfinite(name, rule, diff, candidate, reference) if diff.nonfinite else diff


def nonfinite(name: str, rule: str, diff: Diff, candidate: Array, reference: Array) -> Finding:
    """NaN or infinite elements: diverged, and inconclusive where both sides have the same."""
    same = np.array_equal(candidate, reference, equal_nan=True)
    outcome = Outcome.INCONCLUSIVE if same else Outcome.DIVERGED
    what = "1 element is" if diff.nonfinite == 1 else f"{diff.nonfinite} elements are"
    message = f"{what} NaN or infinite" + (" on both sides" if same else "")
    return Finding(name, rule, outcome, message, ratio=np.inf, diff=diff)


def measured(
    name: str, rule: str, diff: Diff, *, ratio: float, limit: str, compared: tuple[Array, Array]
) -> Finding:
    """Aligned up to a ratio of 1.0; else diverged, with the limit and the place in words."""
    if ratio <= 1.0:
        return Finding(name, rule, Outcome.ALIGNED, ratio=ratio, diff=diff)
    message = f"{limit}; {_place(diff)}"
    return Finding(name, rule, Outcome.DIVERGED, message, ratio=ratio, diff=diff, compared=compared)


def _place(diff: Diff) -> str:
    values = f"{diff.candidate_value:.9g} against {diff.reference_value:.9g}"
    return f"worst at ({', '.join(map(str, diff.worst))}): {values}" if diff.worst else values


def ratio_of(distance: float, allowed: float) -> float:
    """A distance in units of what is allowed."""
    if distance == 0.0:
        return 0.0
    return distance / allowed if allowed > 0.0 else np.inf
