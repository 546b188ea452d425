"""Measure how far two arrays lie apart: figures without an opinion."""

from typing import Any

import numpy as np

from modelparity.model import Diff

Array = np.ndarray[Any, Any]

BLOCK = 1 << 16  # elements: what is widened of an array at a time stays in the cache


def norm(array: Array) -> float:
    """The Euclidean norm, accumulated in float64."""
    flat, total = array.ravel("K"), 0.0  # no copy of a transposed array
    for start in range(0, flat.size, BLOCK):
        part = flat[start : start + BLOCK].astype(np.float64, copy=False)
        total += float(np.dot(part, part))
    return float(np.sqrt(total))


def rms(array: Array) -> float:
    """Root mean square in float64; 0 for an empty array.

    Scaled by the largest magnitude first, so that neither huge nor tiny values are lost.
    """
    if array.size == 0:
        return 0.0
    values = np.abs(np.asarray(array, np.float64)).reshape(-1)
    peak = float(values.max())
    if peak == 0.0 or not np.isfinite(peak):
        return peak
    scaled = values / peak
    return peak * float(np.sqrt(np.dot(scaled, scaled) / scaled.size))


def measure(*, candidate: Array, reference: Array) -> Diff:
    """The distance of two arrays of equal shape, in float64.

    Elements where either side is NaN or infinite are counted in `nonfinite` and left out of the
    other figures; equal infinities count too. `worst` is the index of the first non-finite
    element, else of the largest difference. ValueError for different shapes: nothing broadcasts.
    """
    if candidate.shape != reference.shape:
        raise ValueError(f"shapes {candidate.shape} and {reference.shape} cannot be compared")
    if reference.size == 0:
        return Diff(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    if reference.dtype.kind in "biu" and candidate.dtype.kind in "biu":
        return _measure_exact(candidate, reference)
    c = candidate.astype(np.float64).reshape(-1)
    r = reference.astype(np.float64).reshape(-1)
    finite = np.isfinite(c) & np.isfinite(r)
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.where(finite, np.abs(c - r), 0.0)
    nonfinite = int(finite.size - np.count_nonzero(finite))
    worst = int(np.argmin(finite)) if nonfinite else int(np.argmax(gap))
    known = np.where(finite, r, 0.0)
    count = finite.size - nonfinite
    share = float(np.sqrt(finite.size / count)) if count else 0.0
    return Diff(
        elements=reference.size,
        max_abs=float(gap.max()),
        mean_abs=_mean(gap, count),
        rms=rms(gap) * share,
        reference_rms=rms(known) * share,
        reference_peak=float(np.abs(known).max()),
        unequal=int(np.count_nonzero(~(c == r))),
        worst=tuple(int(i) for i in np.unravel_index(worst, reference.shape)),
        reference_value=float(r[worst]),
        candidate_value=float(c[worst]),
        nonfinite=nonfinite,
    )


def _mean(gap: Array, count: int) -> float:
    """The sum by a count; a sum that overflows is taken of shares, as the mean need not."""
    if not count:
        return 0.0
    with np.errstate(over="ignore"):
        total = float(gap.sum())
        return total / count if np.isfinite(total) else float((gap / count).sum())


def _measure_exact(candidate: Array, reference: Array) -> Diff:
    """Integers and bools: the figures in float64, equality on the values themselves."""
    unequal = candidate != reference
    c, r = candidate.astype(np.float64), reference.astype(np.float64)
    gap = np.abs(c - r)
    worst = np.unravel_index(int(np.argmax(unequal)), reference.shape)
    return Diff(
        elements=reference.size,
        max_abs=float(gap.max()),
        mean_abs=float(gap.mean()),
        rms=rms(gap),
        reference_rms=rms(r),
        reference_peak=float(np.abs(r).max()),
        unequal=int(np.count_nonzero(unequal)),
        worst=tuple(int(i) for i in worst),
        reference_value=float(r[worst]),
        candidate_value=float(c[worst]),
    )
