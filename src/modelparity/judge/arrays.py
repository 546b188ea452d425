"""Arrays: equal, within float64's tolerance, or within the reference's own float32 noise."""

from collections.abc import Iterable

import numpy as np

from modelparity.diff import measure, rms
from modelparity.judge.common import (
    Array,
    distance,
    measured,
    misshapen,
    nonfinite,
    ratio_of,
    unfit,
)
from modelparity.model import Finding, Tolerance

FLOAT64 = Tolerance(1e-12, 1e-10, "clean ports reach 4e-15, the smallest fault leaves 9.8e-09")
UPDATES = Tolerance(1e-10, 1e-8, "updates and trajectories: clean ports reach 2e-13 in 50 updates")
NOISE_FACTOR = 10.0  # clean ports: 0.4 to 5 times the reference's own rounding
ULP32 = 2.0**-23
AT_PADDING = " at padding"
# A tensor that vanishes mathematically (the gradient of attention's key bias) is rounding noise
# of its neighbours' size; this share of the group's median scale is its floor.
GROUP_FLOOR = 1e-2


def group_scale(arrays: Iterable[Array]) -> float:
    """The median scale of a group of tensors."""
    scales = [scale for scale in map(rms, arrays) if np.isfinite(scale)]
    return float(np.median(scales)) if scales else 0.0


def group_rounding(pairs: Iterable[tuple[Array, Array]], floor: float = 0.0) -> float:
    """The median relative distance of a group's float32 from its float64, at least one ulp.

    pairs  (float32, float64). A small tensor may lie near the truth by chance; its group does not.
    """
    gaps = []
    for own, truth in pairs:
        scale = max(rms(truth), floor)
        if own.shape == truth.shape and scale > 0.0:
            gaps.append(rms(own.astype(np.float64) - truth) / scale)
    return max(ULP32, float(np.median([gap for gap in gaps if np.isfinite(gap)] or [0.0])))


def exact(name: str, *, candidate: Array, reference: Array) -> Finding:
    """Shape, dtype and every element equal."""
    diff = distance(name, "exact", candidate=candidate, reference=reference)
    if isinstance(diff, Finding):
        return diff
    ratio = np.inf if diff.unequal else 0.0
    limit = f"{diff.unequal} of {diff.elements} elements differ"
    pair = (candidate, reference)
    return measured(name, "exact", diff, ratio=ratio, limit=limit, compared=pair)


def float64(
    name: str,
    *,
    candidate: Array,
    reference: Array,
    tolerance: Tolerance = FLOAT64,
    floor: float = 0.0,
) -> Finding:
    """rms and peak of the difference within the tolerance; scales are at least `floor`."""
    diff = distance(name, "float64", candidate=candidate, reference=reference)
    if isinstance(diff, Finding):
        return diff
    rms_allowed = tolerance.rms * max(diff.reference_rms, floor)
    peak_allowed = tolerance.peak * max(diff.reference_peak, floor)
    ratio = max(ratio_of(diff.rms, rms_allowed), ratio_of(diff.max_abs, peak_allowed))
    limit = f"rms {diff.rms:.2g} where {rms_allowed:.2g} is allowed"
    if diff.rms <= rms_allowed:
        limit = f"max {diff.max_abs:.2g} where {peak_allowed:.2g} is allowed"
    pair = (candidate, reference)
    return measured(name, "float64", diff, ratio=ratio, limit=limit, compared=pair)


def noise(
    name: str,
    *,
    candidate: Array,
    reference: Array,
    truth: Array,
    floor: float = 0.0,
    relative: float = ULP32,
    apart: float = 0.0,
    softened: bool = False,
) -> Finding:
    """The candidate's float32 lies as near to the float64 reference as the reference's own.

    candidate, reference  float32 runs; truth  the reference's float64 run; relative  the least
    rounding that is granted, as a share of the scale; apart  the rms distance of other float32 runs
    of the reference from the truth; softened  the candidate's is a float64 run
    with a module that computes in hard-coded float32, and may have either dtype.
    """
    faced = truth if softened and candidate.dtype == truth.dtype else reference
    wrong = unfit(name, "noise", candidate, faced) or misshapen(name, "noise", candidate, truth)
    if wrong:
        return wrong
    diff = measure(candidate=candidate, reference=truth)
    own = measure(candidate=reference, reference=truth)
    if diff.nonfinite or own.nonfinite:
        found = diff if diff.nonfinite else own
        return nonfinite(name, "noise", found, candidate, reference)
    allowed = NOISE_FACTOR * max(own.rms, apart, relative * max(diff.reference_rms, floor))
    limit = f"rms {diff.rms:.2g} where {allowed:.2g}, ten times the reference's own, is allowed"
    ratio = ratio_of(diff.rms, allowed)
    pair = (candidate, truth)
    return measured(name, "noise", diff, ratio=ratio, limit=limit, compared=pair)


def split_by_mask(array: Array, mask: Array | None) -> list[tuple[str, Array]]:
    """Active positions and padding apart, where the array runs over the mask's positions."""
    if mask is None or array.shape[: mask.ndim] != mask.shape or array.ndim < mask.ndim:
        return [("", array)]
    active = mask.astype(bool)
    if active.all():
        return [("", array)]
    return [("", array[active]), (AT_PADDING, array[~active])]
