"""From figures and a tolerance to a finding. What is within is accepted; all else diverged."""

import math
from dataclasses import dataclass

from modelparity.compare.figures import Figures
from modelparity.compare.tolerances import Elementwise, Exact, Limit
from modelparity.judge.arrays import NOISE_FACTOR
from modelparity.judge.common import ratio_of
from modelparity.model import Finding, Outcome, Tolerance

TOO_NEAR = math.nextafter(1.0, 2.0)  # the least ratio that is beyond
ZERO_REFERENCE = (
    "the reference is zero throughout, so nothing but equality is within: give an absolute "
    "tolerance, as in --tolerance '{name}: atol=1e-8'"
)


@dataclass(frozen=True, slots=True)
class Noise:
    """Ten times the reference's own distance from the truth, which is at least one ulp's.

    ulp  one unit in the last place of 1.0 of the judged dtype; own  the reference's figures
    """

    ulp: float
    own: Figures
    source: str = "ten times the reference's own distance from the truth, or one ulp"


def allowed_peak(limit: Limit | Noise, figures: Figures) -> float:
    """The largest single difference that is allowed; infinite where that is not limited so."""
    peak = figures.reference_peak or 0.0
    if isinstance(limit, Tolerance):
        return limit.peak * peak if limit.peak < math.inf else math.inf
    if isinstance(limit, Noise):
        return NOISE_FACTOR * max(limit.own.max_abs, limit.ulp * peak)
    # Unequal floats are not counted in the sweep.
    return 0.0 if isinstance(limit, Exact) and figures.unequal is None else math.inf


def judge(name: str, figures: Figures, limit: Limit | Noise) -> Finding:
    """What follows from the figures of one tensor of at least one element."""
    rule, ratio, words = _judged(figures, limit)
    own = limit.own if isinstance(limit, Noise) else None
    hints: tuple[str, ...] = ()
    if figures.unlike:
        message = f"{_many(figures.unlike)} NaN or infinite {_side(figures)}"
        message += f", the first at {place(figures.first_nonfinite)}"
        return Finding(name, rule, Outcome.DIVERGED, message, ratio=math.inf)
    if not ratio <= 1.0:
        if figures.reference_peak == 0.0 and rule != "exact":
            hints = (ZERO_REFERENCE.format(name=name),)
        message = f"{words}; {_worst(figures)}"
        return Finding(name, rule, Outcome.DIVERGED, message, hints, ratio)
    if figures.nonfinite:
        message = f"{_many(figures.nonfinite)} NaN or infinite on both sides"
        message += f", the first at {place(figures.first_nonfinite)}"
        return Finding(name, rule, Outcome.INCONCLUSIVE, message, ratio=ratio)
    if own is not None and own.nonfinite:
        message = f"{_many(own.nonfinite)} NaN or infinite in the reference, not in the truth"
        return Finding(name, rule, Outcome.INCONCLUSIVE, message, ratio=ratio)
    return Finding(name, rule, Outcome.ALIGNED, ratio=ratio)


def _judged(figures: Figures, limit: Limit | Noise) -> tuple[str, float, str]:
    """The rule's name, the distance in units of what is allowed, and both in words."""
    if isinstance(limit, Exact):
        known = figures.unequal is not None
        count = (figures.unequal if known else figures.beyond) or 0
        where = figures.first_unequal if known else figures.first_beyond
        words = f"{count:,} of {figures.elements:,} elements differ"
        words += f", the first at {place(where)}" if where else ""
        return "exact", math.inf if count or figures.max_abs > 0.0 else 0.0, words
    if isinstance(limit, Elementwise):
        allowed = limit.atol + limit.rtol * abs(figures.worst_reference or 0.0)
        ratio = ratio_of(figures.max_abs, allowed)
        ratio = max(ratio, TOO_NEAR) if figures.beyond else min(ratio, 1.0)
        words = _beyond(figures, f"rtol {limit.rtol:.3g}, atol {limit.atol:.3g}")
        return "elementwise", ratio, words
    if isinstance(limit, Noise):
        scale = limit.ulp * (figures.reference_rms or 0.0)
        rms_allowed = NOISE_FACTOR * max(limit.own.rms, scale)
    else:
        rms_allowed = math.inf
        if limit.rms < math.inf:
            rms_allowed = limit.rms * (figures.reference_rms or 0.0)
    rule = "noise" if isinstance(limit, Noise) else "scale"
    peak_allowed = allowed_peak(limit, figures)
    ratio = max(ratio_of(figures.rms, rms_allowed), ratio_of(figures.max_abs, peak_allowed))
    if not figures.max_abs <= peak_allowed:
        words = _beyond(figures, f"{peak_allowed:.2g}")
    else:
        words = f"rms {figures.rms:.2g} where {rms_allowed:.2g} is allowed"
    return rule, ratio, words


def _beyond(figures: Figures, allowed: str) -> str:
    words = f"{figures.beyond or 0:,} of {figures.elements:,} elements beyond {allowed}"
    return words + (f", the first at {place(figures.first_beyond)}" if figures.first_beyond else "")


def _many(count: int) -> str:
    return "1 element is" if count == 1 else f"{count:,} elements are"


def _side(figures: Figures) -> str:
    if not figures.reference_nonfinite:
        return "in the candidate only"
    if not figures.candidate_nonfinite:
        return "in the reference only"
    return "and not the same on both sides"


def _worst(figures: Figures) -> str:
    values = f"{number(figures.worst_candidate)} against {number(figures.worst_reference)}"
    return f"worst at {place(figures.worst)}: {values}" if figures.worst else values


def place(index: tuple[int, ...] | None) -> str:
    """An index in words."""
    return f"({', '.join(map(str, index or ()))})"


def number(value: complex | float | int | None) -> str:
    """A value of a tensor, in digits that tell float32 values apart."""
    return f"{value:.9g}" if isinstance(value, float | complex) else str(value)
