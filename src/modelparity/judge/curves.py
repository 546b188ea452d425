"""Curves: learning rates step by step, losses update by update."""

from collections.abc import Sequence

import numpy as np

from modelparity.judge.arrays import ULP32
from modelparity.judge.common import Array, distance, measured, ratio_of
from modelparity.model import Finding


def schedule(name: str, *, candidate: Array, reference: Array) -> Finding:
    """Every step of a schedule within one float64 ulp of the peak."""
    diff = distance(name, "schedule", candidate=candidate, reference=reference)
    if isinstance(diff, Finding):
        return diff
    allowed = float(np.spacing(diff.reference_peak))
    with np.errstate(over="ignore"):
        beyond = np.flatnonzero(~(np.abs(candidate - reference) <= allowed))
    first = f", the first at step {beyond[0]}" if beyond.size else ""
    limit = f"{beyond.size} of {diff.elements} steps differ by more than an ulp of the peak{first}"
    ratio = ratio_of(diff.max_abs, allowed)
    pair = (candidate, reference)
    return measured(name, "schedule", diff, ratio=ratio, limit=limit, compared=pair)


POINT = 1e-10  # float64 trajectories, relative to the reference's point
ENVELOPE_FACTOR = 10.0
HORIZON = 1e-3  # of the loss: where nudged runs disagree by more, a curve shows nothing


def trajectory(name: str, *, candidate: Array, reference: Array, allowed: Array) -> Finding:
    """Every point of a curve within its allowance; names the first point outside."""
    diff = distance(name, "trajectory", candidate=candidate, reference=reference)
    if isinstance(diff, Finding):
        return diff
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = np.abs(candidate - reference)
        outside = np.flatnonzero(~(gap <= allowed))
        ratio = float(np.max(np.where(gap > 0.0, gap / allowed, 0.0)))
    first = int(outside[0]) if outside.size else 0
    limit = (
        f"{outside.size} of {gap.size} updates lie outside, the first is update {first}: "
        f"{gap[first]:.2g} where {allowed[first]:.2g} is allowed"
    )
    pair = (candidate, reference)
    return measured(name, "trajectory", diff, ratio=ratio, limit=limit, compared=pair)


def envelope(reference: Array, nudged: Sequence[Array], truth: Array) -> tuple[Array, int]:
    """What float32 may leave of a loss curve, per update, and the horizon.

    Ten times the running maximum of how far float32 moves the reference, at least one float32 ulp:
    the nudged runs' distance from it, and its own from `truth`, its float64 curve, which may be
    shorter (ADR 15). The horizon is the first update where that maximum passes 1e-3 of the loss
    (else the number of updates that every nudged run has).
    """
    length = min((run.size for run in nudged), default=0)
    base = np.asarray(reference[:length], np.float64)
    gaps = np.zeros(length)
    for other in (*nudged, truth):
        part = slice(min(length, other.size))
        apart = np.abs(np.asarray(other[part], np.float64) - base[part])
        gaps[part] = np.maximum(gaps[part], apart)
    running = np.maximum.accumulate(gaps)
    passed = np.flatnonzero(~(running <= HORIZON * np.abs(base)))
    horizon = int(passed[0]) if passed.size else length
    return ENVELOPE_FACTOR * np.maximum(running, ULP32 * np.abs(base)), horizon
