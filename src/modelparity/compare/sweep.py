"""One sweep over two tensors, chunk by chunk, in NumPy: each chunk is read once, and in cache."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from modelparity.compare.extras import extras
from modelparity.compare.figures import ZERO, Array, Extras, Partial, Scaled

CHUNK = 1 << 16  # elements: three float64 buffers of this size stay in a second-level cache
# Elements of a row whose squares BLAS sums: in a long one small losses add up, and OpenBLAS spreads
# it over threads, on whose number the last bits would depend.
ROW = 1024
PROBE = 64  # elements; where they differ the chunks are not searched for equal bytes
# Between these powers of two, squares and sums of a chunk neither overflow nor vanish in float64.
_SMALLEST, _LARGEST = 2.0**-400, 2.0**400
_COMPILED = (np.dtype(np.float32), np.dtype(np.float64))


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
    compiled: bool = False


@dataclass(frozen=True)
class Room:
    """Buffers of one chunk's length, allocated once."""

    candidate: Array
    reference: Array
    gap: Array
    mask: Array


def room() -> Room:
    """New buffers."""
    return Room(np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK, np.bool_))


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
    if want.compiled and c.dtype == r.dtype and r.dtype in _COMPILED and want.atol is None:
        found = None if want.full else _fused(c, r, start)
        if found is not None:
            return found
    size = r.size
    gap, wide, peak = at.gap[:size], _wide(r, at.reference), _peak(r)
    if not want.full and _same_bytes(c, r) and peak < math.inf:  # false for NaN
        sums = _square_sum(wide, peak)
        return _alike(size, peak, reference_squares=sums)
    np.subtract(c, wide, out=gap)  # widens the candidate on the way
    np.abs(gap, out=gap)
    top = int(gap.argmax())  # of the first NaN, if any
    furthest = float(gap[top])
    if not (furthest < math.inf and peak < math.inf):
        return _special(c.astype(np.float64), wide.copy(), start, want)
    beyond, first = _beyond(gap, wide, want, at.mask[:size])
    return Partial(
        elements=size,
        unequal=int(np.count_nonzero(gap)) if want.full else 0,
        first_unequal=-1,
        nonfinite=0,
        candidate_nonfinite=0,
        reference_nonfinite=0,
        unlike=0,
        first_nonfinite=-1,
        first_unlike=-1,
        max_abs=furthest,
        worst=start + top if furthest > 0.0 else -1,
        worst_candidate=float(c[top]),
        worst_reference=float(wide[top]),
        reference_peak=peak,
        gaps=_sum(gap, furthest),
        squares=_square_sum(gap, furthest),
        reference_squares=_square_sum(wide, peak),
        beyond=beyond,
        first_beyond=start + first if first >= 0 else -1,
        extras=extras(_wide(c, at.candidate), wide, gap, want.dtype) if want.full else None,
    )


def _fused(c: Array, r: Array, start: int) -> Partial | None:
    from modelparity.compare.fused import fused

    if not (c.flags.aligned and r.flags.aligned):
        return None
    found = fused(c, r)
    if found is None:
        return None
    furthest, top, gaps, squares, reference, peak = found
    return _alike(
        r.size,
        peak,
        max_abs=furthest,
        worst=start + top if furthest > 0.0 else -1,
        worst_candidate=float(c[top]),
        worst_reference=float(r[top]),
        gaps=Scaled(gaps),
        squares=Scaled(squares),
        reference_squares=Scaled(reference),
    )


def _wide(values: Array, room: Array) -> Array:
    """Values in float64: themselves where they are, else in a buffer."""
    if values.dtype == np.float64 and values.flags.aligned:
        return values
    np.copyto(room[: values.size], values, casting="unsafe")
    return room[: values.size]


def _peak(values: Array) -> float:
    """The largest magnitude; NaN where there is one."""
    return max(float(np.maximum.reduce(values)), -float(np.minimum.reduce(values)))


def _same_bytes(c: Array, r: Array) -> bool:
    """Whether two chunks hold the same bytes; dear only where they nearly do."""
    if c.dtype != r.dtype or c[:PROBE].tobytes() != r[:PROBE].tobytes():
        return False
    unit = np.uint64 if r.nbytes % 8 == 0 else np.uint8
    return bool(np.array_equal(c.view(unit), r.view(unit)))


def _alike(size: int, peak: float = 0.0, **found: Any) -> Partial:
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


def _square_sum(values: Array, peak: float) -> Scaled:
    """The sum of the squares of values up to `peak` in magnitude."""
    if peak == 0.0:
        return ZERO
    if _SMALLEST < peak < _LARGEST:
        return Scaled(_squares(values))
    if peak == math.inf:
        return Scaled(peak)
    exponent = math.frexp(peak)[1]
    return Scaled(_squares(np.ldexp(values, -exponent)), 2 * exponent)


def _squares(values: Array) -> float:
    cut = values.size - values.size % ROW
    rows, rest = values[:cut], values[cut:]
    sums = np.matmul(rows.reshape(-1, 1, ROW), rows.reshape(-1, ROW, 1))  # a dot product a row
    return math.fsum([*sums.ravel().tolist(), float(np.dot(rest, rest))])


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
        squares=_square_sum(gap, furthest),
        reference_squares=_square_sum(size, peak),
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
        return _alike(size)
    mask = np.not_equal(c, r, out=at.mask[:size])
    unequal = int(np.count_nonzero(mask))
    if not unequal and not want.full:
        return _alike(size)
    ours, wide, gap = at.candidate[:size], at.reference[:size], at.gap[:size]
    np.copyto(ours, c, casting="unsafe")
    np.copyto(wide, r, casting="unsafe")
    np.abs(np.subtract(ours, wide, out=gap), out=gap)
    top, first = int(gap.argmax()), int(mask.argmax())
    top = top if gap[top] > 0.0 else first  # differences that float64 cannot tell
    furthest, peak = float(gap[top]), float(np.abs(wide).max())
    beyond, beyond_first = _beyond(gap, wide, want, np.empty(size, np.bool_))
    more: Extras | None = extras(ours, wide, gap, "") if want.full else None
    return _alike(
        size,
        peak,
        unequal=unequal,
        first_unequal=start + first if unequal else -1,
        max_abs=furthest,
        worst=start + top if unequal else -1,
        worst_candidate=c[top].item(),
        worst_reference=r[top].item(),
        gaps=_sum(gap, furthest),
        squares=_square_sum(gap, furthest),
        beyond=beyond,
        first_beyond=start + beyond_first if beyond else -1,
        extras=more,
    )
