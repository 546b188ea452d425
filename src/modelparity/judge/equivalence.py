"""Are two ways of training one? Differences of means over paired seeds, and who is right where."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelparity.model import Finding, Outcome

Array = np.ndarray[Any, Any]

# In the reference's standard deviations over seeds: that of the gap between two of its own runs.
MARGIN = 2.0**0.5
CONFIDENCE = 0.95  # of each of the two one-sided tests
ALPHA = 0.005  # family-wise: one clean comparison in two hundred may be accused
FLIPS = 1 << 16  # sign flips that are tried; all of them up to 16 seeds


@dataclass(frozen=True)
class Interval:
    """A difference of means (candidate - reference), its confidence interval, and the margin."""

    mean: float
    low: float
    high: float
    margin: float
    p: float  # of no difference, two-sided, paired
    seeds: int


def interval(candidate: Array, reference: Array) -> Interval:
    """Of one quantity over seeds (k,), k >= 2: Student's, on the paired differences.

    Its p value is never below what signs alone could show, 2^(1-k): scores that come in few steps
    may differ by the same amount in all of a few seeds.
    """
    from scipy import stats

    gaps = candidate - reference
    count, mean = gaps.size, float(gaps.mean())
    error = float(gaps.std(ddof=1)) / np.sqrt(count)
    half = float(stats.t.ppf(CONFIDENCE, count - 1)) * error
    apart = abs(mean) / error if error > 0.0 else np.inf if mean else 0.0
    p = min(1.0, max(2.0 * float(stats.t.sf(apart, count - 1)), 2.0 ** (1 - count)))
    margin = MARGIN * float(reference.std(ddof=1))
    return Interval(mean, mean - half, mean + half, margin, p, count)


def equivalent(name: str, found: Interval, level: float) -> Finding:
    """Two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419) against the margin.

    A difference that is significant at the corrected level diverges, whatever its size; else an
    interval inside the margin is aligned, and any other is inconclusive: not enough seeds to tell.
    """
    reach = max(abs(found.low), abs(found.high))
    same = reach == 0.0
    ratio = 0.0 if same else reach / found.margin if found.margin > 0.0 else np.inf
    shown = (
        f"{found.mean:+.3g} on average, {CONFIDENCE * 2 - 1:.0%} of [{found.low:+.3g}, "
        f"{found.high:+.3g}], margin {found.margin:.3g}, {found.seeds} seeds"
    )
    if found.p < level:
        message = f"the means over seeds differ: {shown} (p = {found.p:.1g}, level {level:.1g})"
        return Finding(name, "equivalence", Outcome.DIVERGED, message, ratio=ratio)
    if same or reach < found.margin:
        return Finding(name, "equivalence", Outcome.ALIGNED, ratio=ratio)
    message = f"not enough seeds to tell: {shown}{_needed(found)}"
    return Finding(name, "equivalence", Outcome.INCONCLUSIVE, message, ratio=ratio)


def _needed(found: Interval) -> str:
    """How many seeds would do, if mean and spread stay as they are."""
    left = found.margin - abs(found.mean)
    if left <= 0.0:
        return ""
    half = (found.high - found.low) / 2.0
    return f"; about {int(np.ceil(found.seeds * (half / left) ** 2)) + 1} would do"


def rightness(name: str, candidate: Array, reference: Array, level: float) -> Finding:
    """Who is right on which item (k, n), bool: a paired permutation test over seeds.

    The sum over items of the squared sum over seeds of the differences is compared with those where
    the sides of seeds are exchanged (Good 2005, ISBN 978-0-387-20279-2). It sees other items being
    right, also where as many are.
    """
    gaps = candidate.astype(np.float64) - reference.astype(np.float64)
    seeds = len(gaps)
    gram = gaps @ gaps.T
    flips = _flips(seeds)
    sums = ((flips @ gram) * flips).sum(axis=1)
    here = float(gram.sum())
    p = float(np.mean(sums >= here * (1.0 - 1e-12)))
    ratio = float(np.log(p) / np.log(level))
    if p < level:
        worst = int(np.argmax(np.abs(gaps.sum(axis=0))))
        message = (
            f"other items are right: item {worst} in {int(candidate[:, worst].sum())} of {seeds} "
            f"seeds against {int(reference[:, worst].sum())} (p = {p:.1g}, level {level:.1g})"
        )
        return Finding(name, "equivalence", Outcome.DIVERGED, message, ratio=ratio)
    if gaps.any() and 2.0 / len(flips) >= level:
        message = f"not enough seeds to tell: {seeds} cannot show who is right otherwise"
        return Finding(name, "equivalence", Outcome.INCONCLUSIVE, message, ratio=ratio)
    return Finding(name, "equivalence", Outcome.ALIGNED, ratio=ratio)


def _flips(seeds: int) -> Array:
    """Signs (m, k): all of them, or as many at random, the unchanged ones first."""
    if 1 << seeds <= FLIPS:
        numbers = np.arange(1 << seeds)[:, None] >> np.arange(seeds)
        return 1.0 - 2.0 * (numbers & 1)
    signs: Array = 1.0 - 2.0 * np.random.default_rng(0).integers(0, 2, (FLIPS, seeds))
    signs[0] = 1.0
    return signs
