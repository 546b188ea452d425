"""One sweep over the chunks of two tensors, in NumPy: each chunk is read once and stays in cache.

Sums go through `np.add.reduce` (pairwise, in one order on every machine) and never through BLAS,
whose order depends on the processor and on the number of threads.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from modelparity.compare.extras import extras
from modelparity.compare.figures import ZERO, Array, Extras, Partial, Scaled

CHUNK = 1 << 16  # elements: three float64 buffers of this size stay in a second-level cache
PROBE = 64  # elements; where they differ the chunks are not searched for equal bytes
# Between these powers of two, squares and sums of a chunk neither overflow nor vanish in float64.
_SMALLEST, _LARGEST = 2.0**-400, 2.0**400


class Want(NamedTuple):
    """What a sweep is asked for beyond the figures that decide.

    rtol, atol  count elements beyond atol + rtol * abs(reference); None: nothing is counted
    full        the extras; `dtype` is what units in the last place and the floor of relative
                distances belong to, which the chunks' own need not be (bfloat16)
    """

    rtol: float = 0.0
    atol: float | None = None
    full: bool = False
    dtype: str = ""


@dataclass(frozen=True)
class Room:
    """Buffers of one chunk's length, allocated once."""

    candidate: Array
    reference: Array
    gap: Array
    mask: Array


def room() -> Room:
    """New buffers."""
    return Room(*(np.empty(CHUNK) for _ in range(3)), np.empty(CHUNK, np.bool_))


def measure_chunk(c: Array, r: Array, start: int, want: Want, at: Room) -> Partial:
    """The figures of two flat chunks of equal length, the candidate's and the reference's.

    start  the position of the chunk's first element in its tensor
    """
    kinds = c.dtype.kind + r.dtype.kind
    if c.dtype.kind in "biu" and r.dtype.kind in "biu":
        return _whole(c, r, start, want, at)
    if "c" in kinds:
        return _complex(c, r, start, want)
    return _floats(c, r, start, want, at)


def beyond_chunk(c: Array, r: Array, start: int, want: Want, at: Room) -> tuple[int, int]:
    """How many elements of two flat chunks lie beyond what is allowed, and the first's position.

    NaN and infinities lie beyond where the sides are not alike; -1 where there is none.
    """
    size = r.size
    if "c" in {c.dtype.kind, r.dtype.kind}:
        found = _complex(c, r, start, want)
        return found.beyond, found.first_beyond
    ours, wide, gap, mask = (b[:size] for b in (at.candidate, at.reference, at.gap, at.mask))
    np.copyto(ours, c, casting="unsafe")
    np.copyto(wide, r, casting="unsafe")
    np.abs(np.subtract(ours, wide, out=gap), out=gap)
    if not float(np.maximum.reduce(gap)) < math.inf:
        found = _special(ours.copy(), wide.copy(), start, want)
        return found.beyond, found.first_beyond
    count, first = _beyond(gap, wide, want, mask)
    return count, start + first if count else -1


def _floats(c: Array, r: Array, start: int, want: Want, at: Room) -> Partial:
    size = r.size
    wide, gap = at.reference[:size], at.gap[:size]
    np.copyto(wide, r, casting="unsafe")
    narrow = r if r.dtype.kind == "f" and r.itemsize >= 4 else wide
    peak = max(float(np.maximum.reduce(narrow)), -float(np.minimum.reduce(narrow)))
    if not want.full and _same_bytes(c, r) and peak < math.inf:  # false for NaN
        sums = _square_sum(wide, peak, gap)
        return _partial(size, peak, reference_squares=sums)
    ours = at.candidate[:size]
    np.copyto(ours, c, casting="unsafe")
    np.subtract(ours, wide, out=gap)
    np.abs(gap, out=gap)
    top = int(gap.argmax())  # of the first NaN, if any
    furthest = float(gap[top])
    if not (furthest < math.inf and peak < math.inf):
        return _special(ours.copy(), wide.copy(), start, want)
    mask = at.mask[:size]
    unequal = int(np.count_nonzero(np.not_equal(ours, wide, out=mask)))
    beyond, first = _beyond(gap, wide, want, mask)
    values = float(ours[top]), float(wide[top])
    more = extras(ours, wide, gap, want.dtype) if want.full else None
    return Partial(
        elements=size,
        unequal=unequal,
        first_unequal=-1,
        nonfinite=0,
        candidate_nonfinite=0,
        reference_nonfinite=0,
        unlike=0,
        first_nonfinite=-1,
        first_unlike=-1,
        max_abs=furthest,
        worst=start + top if furthest > 0.0 else -1,
        worst_candidate=values[0],
        worst_reference=values[1],
        reference_peak=peak,
        gaps=_sum(gap, furthest),
        squares=_square_sum(gap, furthest, gap),
        reference_squares=_square_sum(wide, peak, wide),
        beyond=beyond,
        first_beyond=start + first if first >= 0 else -1,
        extras=more,
    )


def _same_bytes(c: Array, r: Array) -> bool:
    """Whether two chunks hold the same bytes; dear only where they nearly do."""
    if c.dtype != r.dtype or c[:PROBE].tobytes() != r[:PROBE].tobytes():
        return False
    unit = np.uint64 if r.nbytes % 8 == 0 else np.uint8
    return bool(np.array_equal(c.view(unit), r.view(unit)))


def _partial(size: int, peak: float = 0.0, **found: object) -> Partial:
    """Two chunks without any difference, but for what was found."""
    nothing = Partial(size, 0, -1, 0, 0, 0, 0, -1, -1, 0.0, -1, 0.0, 0.0, peak, ZERO, ZERO, ZERO)
    return nothing._replace(**found)


def _sum(values: Array, peak: float) -> Scaled:
    """The sum of values up to `peak`, none of them negative."""
    if peak == 0.0:
        return ZERO
    if _SMALLEST < peak < _LARGEST:
        return Scaled(float(np.add.reduce(values)))
    if peak == math.inf:
        return Scaled(peak)
    exponent = math.frexp(peak)[1]
    return Scaled(float(np.add.reduce(np.ldexp(values, -exponent))), exponent)


def _square_sum(values: Array, peak: float, out: Array) -> Scaled:
    """The sum of the squares of values up to `peak` in magnitude; `out` may be `values`."""
    if peak == 0.0:
        return ZERO
    if _SMALLEST < peak < _LARGEST:
        return Scaled(float(np.add.reduce(np.multiply(values, values, out=out))))
    if peak == math.inf:
        return Scaled(peak)
    exponent = math.frexp(peak)[1]
    scaled = np.ldexp(values, -exponent)
    return Scaled(float(np.add.reduce(np.multiply(scaled, scaled, out=scaled))), 2 * exponent)


def _beyond(gap: Array, reference: Array, want: Want, mask: Array) -> tuple[int, int]:
    """How many elements lie beyond what is allowed, and the first of them (else -1)."""
    if want.atol is None:
        return 0, -1
    if want.rtol:
        allowed = np.abs(reference)
        allowed *= want.rtol
        allowed += want.atol
        np.less_equal(gap, allowed, out=mask)
    else:
        np.less_equal(gap, want.atol, out=mask)
    count = mask.size - int(np.count_nonzero(mask))
    return count, int(mask.argmin()) if count else -1


def _special(c: Array, r: Array, start: int, want: Want) -> Partial:
    """Chunks, float64 or complex128, that hold NaN or infinities or whose difference overflows."""
    fine_c, fine_r = np.isfinite(c), np.isfinite(r)
    fine = fine_c & fine_r
    unequal = int(np.count_nonzero(~(c == r)))
    unlike = ~fine & ~((c == r) | (np.isnan(c) & np.isnan(r)))
    odd = int(np.count_nonzero(unlike))
    c, r = np.where(fine, c, 0), np.where(fine, r, 0)
    gap, size = np.abs(c - r), np.abs(r)
    top, peak = int(gap.argmax()), float(size.max())
    furthest = float(gap[top])
    beyond, first = _beyond(gap, r, want, np.empty(r.size, np.bool_))
    place = int(unlike.argmax()) if odd else -1
    if want.atol is not None and odd:
        beyond, first = beyond + odd, place if first < 0 else min(first, place)
    nonfinite = r.size - int(np.count_nonzero(fine))
    more = extras(c, r, gap, want.dtype) if want.full else None
    return Partial(
        elements=r.size,
        unequal=unequal,
        first_unequal=-1,
        nonfinite=nonfinite,
        candidate_nonfinite=r.size - int(np.count_nonzero(fine_c)),
        reference_nonfinite=r.size - int(np.count_nonzero(fine_r)),
        unlike=odd,
        first_nonfinite=start + int(fine.argmin()) if nonfinite else -1,
        first_unlike=start + place if odd else -1,
        max_abs=furthest,
        worst=start + top if furthest > 0.0 else -1,
        worst_candidate=c[top].item(),
        worst_reference=r[top].item(),
        reference_peak=peak,
        gaps=_sum(gap, furthest),
        squares=_square_sum(gap, furthest, np.empty_like(gap)),
        reference_squares=_square_sum(size, peak, size),
        beyond=beyond,
        first_beyond=start + first if first >= 0 else -1,
        extras=more,
    )


def _complex(c: Array, r: Array, start: int, want: Want) -> Partial:
    """Distances and magnitudes are moduli; speed is not cared for."""
    return _special(c.astype(np.complex128), r.astype(np.complex128), start, want)


def _whole(c: Array, r: Array, start: int, want: Want, at: Room) -> Partial:
    """Whole numbers and bools: equality on the values themselves, distances in float64."""
    size = r.size
    if not want.full and _same_bytes(c, r):
        return _partial(size)
    mask = np.not_equal(c, r, out=at.mask[:size])
    unequal = int(np.count_nonzero(mask))
    if not unequal and not want.full:
        return _partial(size)
    ours, wide, gap = at.candidate[:size], at.reference[:size], at.gap[:size]
    np.copyto(ours, c, casting="unsafe")
    np.copyto(wide, r, casting="unsafe")
    np.abs(np.subtract(ours, wide, out=gap), out=gap)
    top, first = int(gap.argmax()), int(mask.argmax())
    top = top if gap[top] > 0.0 else first  # differences that float64 cannot tell
    furthest, peak = float(gap[top]), float(np.abs(wide).max())
    beyond, beyond_first = _beyond(gap, wide, want, np.empty(size, np.bool_))
    more: Extras | None = extras(ours, wide, gap, "") if want.full else None
    return _partial(
        size,
        peak,
        unequal=unequal,
        first_unequal=start + first if unequal else -1,
        max_abs=furthest,
        worst=start + top if unequal else -1,
        worst_candidate=c[top].item(),
        worst_reference=r[top].item(),
        gaps=_sum(gap, furthest),
        squares=_square_sum(gap, furthest, gap),
        beyond=beyond,
        first_beyond=start + beyond_first if beyond else -1,
        extras=more,
    )
