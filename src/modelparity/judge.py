"""Rules of judgement: measured distances and tolerances -> findings -> a verdict.

Every rule accepts what is within and never rejects what is beyond, so that a NaN cannot pass.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelparity.diff import measure, rms
from modelparity.model import Diff, Finding, Outcome, Tolerance, Verdict

Array = np.ndarray[Any, Any]

FLOAT64 = Tolerance(1e-12, 1e-10, "clean ports reach 4e-15, the smallest fault leaves 9.8e-09")
UPDATES = Tolerance(1e-10, 1e-8, "updates and trajectories: clean ports reach 2e-13 in 50 updates")
NOISE_FACTOR = 10.0  # clean ports: 0.4 to 5 times the reference's own rounding
ULP32 = 2.0**-23
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


def _unfit(name: str, rule: str, candidate: Array, reference: Array) -> Finding | None:
    """What makes two arrays incomparable, before any value is looked at."""
    misshapen = _misshapen(name, rule, candidate, reference)
    if misshapen:
        return misshapen
    if candidate.dtype != reference.dtype:
        message = f"dtype {candidate.dtype} against {reference.dtype}"
        return Finding(name, rule, Outcome.DIVERGED, message, ratio=np.inf)
    if reference.size == 0:
        return Finding(name, rule, Outcome.INCONCLUSIVE, "there is nothing to compare: no elements")
    return None


def _misshapen(name: str, rule: str, candidate: Array, reference: Array) -> Finding | None:
    if candidate.shape == reference.shape:
        return None
    transposed = candidate.shape == reference.shape[::-1]
    hint = "the shapes are each other's transpose: declare it in the case's rules"
    message = f"shape {candidate.shape} against {reference.shape}"
    return Finding(name, rule, Outcome.DIVERGED, message, hint if transposed else "", ratio=np.inf)


def _nonfinite(name: str, rule: str, diff: Diff, candidate: Array, reference: Array) -> Finding:
    same = np.array_equal(candidate, reference, equal_nan=True)
    outcome = Outcome.INCONCLUSIVE if same else Outcome.DIVERGED
    what = "1 element is" if diff.nonfinite == 1 else f"{diff.nonfinite} elements are"
    message = f"{what} NaN or infinite" + (" on both sides" if same else "")
    return Finding(name, rule, outcome, message, ratio=np.inf, diff=diff)


def _within(name: str, rule: str, ratio: float, diff: Diff, limit: str, hint: str = "") -> Finding:
    outcome = Outcome.ALIGNED if ratio <= 1.0 else Outcome.DIVERGED
    message = "" if outcome is Outcome.ALIGNED else f"{limit}; {_place(diff)}"
    return Finding(name, rule, outcome, message, "" if not message else hint, ratio, diff)


def _place(diff: Diff) -> str:
    values = f"{diff.candidate_value:.9g} against {diff.reference_value:.9g}"
    return f"worst at ({', '.join(map(str, diff.worst))}): {values}" if diff.worst else values


def exact(name: str, *, candidate: Array, reference: Array) -> Finding:
    """Shape, dtype and every element equal."""
    unfit = _unfit(name, "exact", candidate, reference)
    if unfit:
        return unfit
    diff = measure(candidate=candidate, reference=reference)
    if diff.nonfinite:
        return _nonfinite(name, "exact", diff, candidate, reference)
    limit = f"{diff.unequal} of {diff.elements} elements differ"
    hint = _transposed_hint(candidate, reference) if diff.unequal else ""
    return _within(name, "exact", np.inf if diff.unequal else 0.0, diff, limit, hint)


def _transposed_hint(candidate: Array, reference: Array) -> str:
    square = candidate.ndim == 2 and candidate.shape[0] == candidate.shape[1]
    if square and np.array_equal(candidate.T, reference):
        return "the transpose matches: declare it in the case's rules or fix the copy"
    return ""


def float64(
    name: str,
    *,
    candidate: Array,
    reference: Array,
    tolerance: Tolerance = FLOAT64,
    floor: float = 0.0,
) -> Finding:
    """rms and peak of the difference within the tolerance; scales are at least `floor`."""
    unfit = _unfit(name, "float64", candidate, reference)
    if unfit:
        return unfit
    diff = measure(candidate=candidate, reference=reference)
    if diff.nonfinite:
        return _nonfinite(name, "float64", diff, candidate, reference)
    rms_allowed = tolerance.rms * max(diff.reference_rms, floor)
    peak_allowed = tolerance.peak * max(diff.reference_peak, floor)
    ratio = max(_ratio(diff.rms, rms_allowed), _ratio(diff.max_abs, peak_allowed))
    limit = f"rms {diff.rms:.2g} where {rms_allowed:.2g} is allowed"
    if not diff.rms <= rms_allowed:
        return _within(name, "float64", ratio, diff, limit)
    return _within(
        name, "float64", ratio, diff, f"max {diff.max_abs:.2g} where {peak_allowed:.2g} is allowed"
    )


def noise(
    name: str,
    *,
    candidate: Array,
    reference: Array,
    truth: Array,
    floor: float = 0.0,
    relative: float = ULP32,
    softened: bool = False,
) -> Finding:
    """The candidate's float32 lies as near to the float64 reference as the reference's own.

    candidate, reference  float32 runs; truth  the reference's float64 run; relative  the least
    rounding that is granted, as a share of the scale; softened  the candidate's is a float64 run
    with a module that computes in hard-coded float32, and may have either dtype.
    """
    faced = truth if softened and candidate.dtype == truth.dtype else reference
    unfit = _unfit(name, "noise", candidate, faced) or _misshapen(name, "noise", candidate, truth)
    if unfit:
        return unfit
    diff = measure(candidate=candidate, reference=truth)
    own = measure(candidate=reference, reference=truth)
    if diff.nonfinite or own.nonfinite:
        found = diff if diff.nonfinite else own
        return _nonfinite(name, "noise", found, candidate, reference)
    allowed = NOISE_FACTOR * max(own.rms, relative * max(diff.reference_rms, floor))
    limit = f"rms {diff.rms:.2g} where {allowed:.2g}, ten times the reference's own, is allowed"
    return _within(name, "noise", _ratio(diff.rms, allowed), diff, limit)


def schedule(name: str, *, candidate: Array, reference: Array) -> Finding:
    """Every step of a schedule within one float64 ulp of the peak."""
    unfit = _unfit(name, "schedule", candidate, reference)
    if unfit:
        return unfit
    diff = measure(candidate=candidate, reference=reference)
    if diff.nonfinite:
        return _nonfinite(name, "schedule", diff, candidate, reference)
    allowed = float(np.spacing(diff.reference_peak))
    with np.errstate(over="ignore"):
        beyond = np.flatnonzero(~(np.abs(candidate - reference) <= allowed))
    first = f", the first at step {beyond[0]}" if beyond.size else ""
    limit = f"{beyond.size} of {diff.elements} steps differ by more than an ulp of the peak{first}"
    return _within(name, "schedule", _ratio(diff.max_abs, allowed), diff, limit)


POINT = 1e-10  # float64 trajectories, relative to the reference's point
ENVELOPE_FACTOR = 10.0  # clean ports leave the nudged runs' envelope by a factor of up to 4.5
HORIZON = 1e-3  # of the loss: where nudged runs disagree by more, a curve shows nothing


def trajectory(name: str, *, candidate: Array, reference: Array, allowed: Array) -> Finding:
    """Every point of a curve within its allowance; names the first point outside."""
    unfit = _unfit(name, "trajectory", candidate, reference)
    if unfit:
        return unfit
    diff = measure(candidate=candidate, reference=reference)
    if diff.nonfinite:
        return _nonfinite(name, "trajectory", diff, candidate, reference)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = np.abs(candidate - reference)
        outside = np.flatnonzero(~(gap <= allowed))
        ratio = float(np.max(np.where(gap > 0.0, gap / allowed, 0.0)))
    first = int(outside[0]) if outside.size else 0
    limit = (
        f"{outside.size} of {gap.size} updates lie outside, the first is update {first}: "
        f"{gap[first]:.2g} where {allowed[first]:.2g} is allowed"
    )
    return _within(name, "trajectory", ratio, diff, limit)


def envelope(reference: Array, nudged: Sequence[Array]) -> tuple[Array, int]:
    """What float32 may leave of a loss curve, per update, and the horizon.

    Ten times the running maximum of the nudged runs' distance, at least one float32 ulp; the
    horizon is the first update where the largest distance passes 1e-3 of the loss (else the
    number of updates that every nudged run has).
    """
    length = min((run.size for run in nudged), default=0)
    base = np.asarray(reference[:length], np.float64)
    gaps = np.array([np.abs(run[:length].astype(np.float64) - base) for run in nudged])
    running = np.maximum.accumulate(gaps.max(axis=0)) if length else np.zeros(0)
    passed = np.flatnonzero(~(running <= HORIZON * np.abs(base)))
    horizon = int(passed[0]) if passed.size else length
    return ENVELOPE_FACTOR * np.maximum(running, ULP32 * np.abs(base)), horizon


def _ratio(distance: float, allowed: float) -> float:
    if distance == 0.0:
        return 0.0
    return distance / allowed if allowed > 0.0 else np.inf


def missing(name: str, side: str, what: str = "array") -> Finding:
    """A name that one side lacks."""
    message = f"the {side} has no such {what}"
    return Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)


def inconclusive(name: str, message: str, hint: str = "") -> Finding:
    """Evidence that is missing or cannot be used."""
    return Finding(name, "completeness", Outcome.INCONCLUSIVE, message, hint)


def split_by_mask(array: Array, mask: Array | None) -> list[tuple[str, Array]]:
    """Active positions and padding apart, where the array runs over the mask's positions."""
    if mask is None or array.shape[: mask.ndim] != mask.shape or array.ndim < mask.ndim:
        return [("", array)]
    active = mask.astype(bool)
    if active.all():
        return [("", array)]
    return [("", array[active]), (" at padding", array[~active])]


def facts(
    name: str, *, candidate: Mapping[str, Any], reference: Mapping[str, Any], what: str
) -> list[Finding]:
    """Plain values under common keys: every difference is a finding."""
    findings = []
    for key in dict.fromkeys([*reference, *candidate]):
        place = f"{name}.{key}" if name else key
        if key not in candidate or key not in reference:
            findings.append(missing(place, "reference" if key in candidate else "candidate", what))
        elif isinstance(reference[key], float) and isinstance(candidate[key], float | int):
            same = bool(np.isclose(candidate[key], reference[key], rtol=1e-15, atol=0.0))
            findings.append(_fact(place, same, candidate[key], reference[key]))
        else:
            findings.append(
                _fact(place, candidate[key] == reference[key], candidate[key], reference[key])
            )
    return findings


def _fact(name: str, same: bool, candidate: object, reference: object) -> Finding:
    if same:
        return Finding(name, "exact", Outcome.ALIGNED)
    message = f"{candidate} on the candidate, {reference} on the reference"
    return Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)


def conclude(
    number: int,
    name: str,
    findings: Sequence[Finding],
    *,
    blame: Sequence[Finding] = (),
    **evidence: Any,
) -> Verdict:
    """One outcome from all findings: any diverged, else any inconclusive or none, else aligned.

    `blame` are the findings that name the place best; the reason is taken from them first.
    """
    diverged = [f for f in findings if f.outcome is Outcome.DIVERGED]
    doubtful = [f for f in findings if f.outcome is Outcome.INCONCLUSIVE]
    if diverged:
        first = (list(blame) or diverged)[0]
        reason = f"{first.name}: {first.message}"
        outcome = Outcome.DIVERGED
    elif doubtful or not findings:
        outcome = Outcome.INCONCLUSIVE
        reason = "nothing was compared" if not findings else _because(doubtful[0])
    else:
        outcome = Outcome.ALIGNED
        one = len(findings) == 1
        reason = f"{len(findings):,} comparison{'' if one else 's'} within "
        reason += "its limit" if one else "their limits"
    return Verdict(number, name, outcome, reason, tuple(findings), **evidence)


def _because(finding: Finding) -> str:
    return f"{finding.name}: {finding.message}" if finding.name else finding.message
