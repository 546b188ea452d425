"""What one sweep over two tensors finds: a Partial for each part, Figures for the whole."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Scaled(NamedTuple):
    """A sum that neither overflows nor vanishes: `value` times two to the power of `exponent`."""

    value: float
    exponent: int = 0


ZERO = Scaled(0.0)


class Extras(NamedTuple):
    """What is counted only where it is asked for (`full`).

    ulps  a histogram of distances in units in the last place (see `ulps.py`), empty for numbers
    that are whole or complex
    """

    max_relative: float
    sign_flips: int
    zero_unlike: int
    products: Scaled
    candidate_squares: Scaled
    reference_squares: Scaled
    ulps: Array | None


class Partial(NamedTuple):
    """The figures of one part of a tensor; positions are flat, in C order, -1 where there is none.

    nonfinite  elements where either side is NaN or infinite; `unlike` of them where the sides are
               not alike. They are left out of distances, sums and peaks.
    beyond     elements beyond what is allowed, where that was known before
    gaps, squares, reference_squares  sums of abs(c - r), (c - r)**2 and r**2
    """

    elements: int
    unequal: int
    first_unequal: int
    nonfinite: int
    candidate_nonfinite: int
    reference_nonfinite: int
    unlike: int
    first_nonfinite: int
    first_unlike: int
    max_abs: float
    worst: int
    worst_candidate: complex | float | int
    worst_reference: complex | float | int
    reference_peak: float
    gaps: Scaled
    squares: Scaled
    reference_squares: Scaled
    beyond: int = 0
    first_beyond: int = -1
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """How far two tensors of one shape lie apart, without an opinion; all in float64.

    Indices are those of the tensor, None where there is none. `worst` is the largest difference,
    None where nothing differs.
    Of whole numbers that are compared for equality, `reference_rms` and `reference_peak` are None
    unless all figures were asked for; of all others so is `unequal`.

    max_relative  the largest abs(c - r) / max(abs(r), relative_floor)
    zero_unlike   elements that are zero on one side only
    cosine        of the angle between the two; None where one of them is zero
    ulps          {"50": ..., "100": ...}: percentiles of the distance in units in the last place
                  of the dtype, exact up to 1024, above that rounded up by at most 1/64
    """

    elements: int
    unequal: int | None
    max_abs: float
    mean_abs: float
    rms: float
    reference_rms: float | None
    reference_peak: float | None
    nonfinite: int
    candidate_nonfinite: int
    reference_nonfinite: int
    unlike: int
    worst: tuple[int, ...] | None
    worst_candidate: complex | float | int | None
    worst_reference: complex | float | int | None
    first_unequal: tuple[int, ...] | None
    first_nonfinite: tuple[int, ...] | None
    beyond: int | None = None
    first_beyond: tuple[int, ...] | None = None
    max_relative: float | None = None
    relative_floor: float | None = None
    cosine: float | None = None
    sign_flips: int | None = None
    zero_unlike: int | None = None
    ulps: dict[str, int] | None = None

    @property
    def rms_ratio(self) -> float | None:
        """rms of the difference relative to the reference's; None where that has none."""
        if self.reference_rms is None:
            return None
        if self.rms == 0.0:
            return 0.0
        return self.rms / self.reference_rms if self.reference_rms > 0.0 else math.inf


def total(sums: Sequence[Scaled]) -> Scaled:
    """The sum of sums, rounded once (math.fsum): the same whatever their order."""
    known = [s for s in sums if s.value != 0.0]
    if not known:
        return ZERO
    top = max(s.exponent for s in known)
    if all(s.exponent == 0 for s in known):
        values: Iterable[float] = (s.value for s in known)
    else:
        values = (math.ldexp(s.value, s.exponent - top) for s in known)
    try:
        value = math.fsum(values)
    except OverflowError:
        half = [math.ldexp(s.value, s.exponent - top - 64) for s in known]
        return Scaled(math.fsum(half), top + 64)
    return Scaled(value, top)


def mean(sums: Scaled, count: int) -> float:
    """A sum by a count."""
    return _number(sums.value / count, sums.exponent) if count else 0.0


def root_mean(sums: Scaled, count: int) -> float:
    """The root of a sum by a count; the exponent of a sum of squares is even."""
    return _number(math.sqrt(sums.value / count), sums.exponent // 2) if count else 0.0


def _number(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def first(positions: Iterable[int]) -> int:
    """The first position that there is, -1 where there is none."""
    return next((p for p in positions if p >= 0), -1)


def join(parts: Sequence[Partial]) -> Partial:
    """The parts of one tensor, in order, as one."""
    if len(parts) == 1:
        return parts[0]
    worst = max(parts, key=lambda p: (p.worst >= 0, p.max_abs))  # the first of equals
    return Partial(
        elements=sum(p.elements for p in parts),
        unequal=sum(p.unequal for p in parts),
        first_unequal=first(p.first_unequal for p in parts),
        nonfinite=sum(p.nonfinite for p in parts),
        candidate_nonfinite=sum(p.candidate_nonfinite for p in parts),
        reference_nonfinite=sum(p.reference_nonfinite for p in parts),
        unlike=sum(p.unlike for p in parts),
        first_nonfinite=first(p.first_nonfinite for p in parts),
        first_unlike=first(p.first_unlike for p in parts),
        max_abs=worst.max_abs,
        worst=worst.worst,
        worst_candidate=worst.worst_candidate,
        worst_reference=worst.worst_reference,
        reference_peak=max(p.reference_peak for p in parts),
        gaps=total([p.gaps for p in parts]),
        squares=total([p.squares for p in parts]),
        reference_squares=total([p.reference_squares for p in parts]),
        beyond=sum(p.beyond for p in parts),
        first_beyond=first(p.first_beyond for p in parts),
        extras=_join_extras([p.extras for p in parts if p.extras is not None]),
    )


def _join_extras(extras: Sequence[Extras]) -> Extras | None:
    if not extras:
        return None
    counted = [e.ulps for e in extras if e.ulps is not None]
    return Extras(
        max_relative=max(e.max_relative for e in extras),
        sign_flips=sum(e.sign_flips for e in extras),
        zero_unlike=sum(e.zero_unlike for e in extras),
        products=total([e.products for e in extras]),
        candidate_squares=total([e.candidate_squares for e in extras]),
        reference_squares=total([e.reference_squares for e in extras]),
        ulps=np.sum(counted, axis=0) if counted else None,
    )
