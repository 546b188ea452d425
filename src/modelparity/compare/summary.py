"""From the joined sums of a tensor to its figures."""

import math
from typing import Any

from modelparity.compare.extras import relative_floor
from modelparity.compare.figures import Extras, Figures, Partial, mean, root_mean
from modelparity.compare.ulps import percentiles


def index(position: int, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """A flat position in C order as an index; None for -1."""
    if position < 0:
        return None
    places = []
    for length in reversed(shape):
        position, place = divmod(position, length)
        places.append(place)
    return tuple(reversed(places))


def summary(found: Partial, shape: tuple[int, ...], *, dtype: str, exact: bool) -> Figures:
    """The figures of a tensor of this shape.

    dtype  what units in the last place belong to, "" for none; exact  both sides hold whole numbers
    """
    count = found.elements - found.nonfinite
    full = found.extras is not None
    squares, peak = found.reference_squares, found.reference_peak
    if exact and found.extras is not None:
        squares = found.extras.reference_squares
    known, differs = full or not exact, found.worst >= 0
    odd = found.first_unlike if found.unlike else found.first_nonfinite
    return Figures(
        elements=found.elements,
        unequal=found.unequal if full or exact else None,
        max_abs=found.max_abs,
        mean_abs=mean(found.gaps, count),
        rms=root_mean(found.squares, count),
        reference_rms=root_mean(squares, count) if known else None,
        reference_peak=peak if known else None,
        nonfinite=found.nonfinite,
        candidate_nonfinite=found.candidate_nonfinite,
        reference_nonfinite=found.reference_nonfinite,
        unlike=found.unlike,
        worst=index(found.worst, shape),
        worst_candidate=found.worst_candidate if differs else None,
        worst_reference=found.worst_reference if differs else None,
        first_unequal=index(found.first_unequal, shape),
        first_nonfinite=index(odd, shape),
        **_of_extras(found.extras, dtype),
    )


def _of_extras(extras: Extras | None, dtype: str) -> dict[str, Any]:
    if extras is None:
        return {}
    return {
        "max_relative": extras.max_relative,
        "relative_floor": relative_floor(dtype) if dtype else 1.0,
        "cosine": _cosine(extras),
        "sign_flips": extras.sign_flips,
        "zero_unlike": extras.zero_unlike,
        "ulps": None if extras.ulps is None else percentiles(extras.ulps),
    }


def _cosine(extras: Extras) -> float | None:
    c, r, p = extras.candidate_squares, extras.reference_squares, extras.products
    norms = math.sqrt(c.value) * math.sqrt(r.value)
    if not 0.0 < norms < math.inf:
        return None
    return math.ldexp(p.value / norms, p.exponent - c.exponent // 2 - r.exponent // 2)
