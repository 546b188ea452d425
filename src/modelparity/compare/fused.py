"""The sweep as one compiled loop, by numba (the extra `fast`): reads memory, keeps nothing.

It returns sums and peaks of ordinary chunks and refuses all others (NaN, infinities, extremes),
which NumPy then measures; so both decide alike, and only the last bits of sums differ.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from modelparity.compare.figures import Array

BLOCK = 1024  # elements whose distances wait in the first-level cache
_SMALLEST, _LARGEST = 2.0**-400, 2.0**400
_WIDE = np.int64(2**63 - 1)

# Sums may be formed in any order (`reassoc`), so that they can be vectorised; that NaN or
# infinities do not occur is never assumed. Peaks are taken of the bits, which are in the order of
# magnitudes (IEEE 754-2019, 3.4), with NaN above infinity above all numbers.
_FAST = {"reassoc", "nsz"}


_compiled = partial(njit, fastmath=_FAST, cache=True, nogil=True, error_model="numpy")


@_compiled()  # type: ignore[untyped-decorator]
def _distances(c: Any, r: Any, gap: Any) -> Any:
    a = b = d = 0.0
    for i in range(r.size):
        x = np.float64(r[i])
        g = abs(np.float64(c[i]) - x)
        gap[i] = g
        a += g
        b += g * g
        d += x * x
    return a, b, d


@_compiled()  # type: ignore[untyped-decorator]
def _top(bits: Any, low: Any) -> Any:
    top = bits[0] & low
    for i in range(bits.size):
        top = max(top, bits[i] & low)
    return top


@_compiled()  # type: ignore[untyped-decorator]
def _sweep(c: Any, r: Any, r_bits: Any, low: Any, gap: Any, gap_bits: Any) -> Any:
    size = r.size
    gaps = squares = reference = 0.0
    furthest, block, peak = np.int64(-1), 0, low & 0
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        a, b, d = _distances(c[start:stop], r[start:stop], gap)
        gaps += a
        squares += b
        reference += d
        top = _top(gap_bits[: stop - start], _WIDE)
        if top > furthest:
            furthest, block = top, start
        peak = max(peak, _top(r_bits[start:stop], low))
    last = min(block + BLOCK, size)
    _distances(c[block:last], r[block:last], gap)
    worst = 0
    for i in range(last - block):
        if gap[i] > gap[worst]:
            worst = i
    return gap[worst], block + worst, gaps, squares, reference, peak


_GAP = np.empty(BLOCK)


def fused(c: Array, r: Array) -> tuple[float, int, float, float, float, float] | None:
    """max and its place, sum of distances and squares, sum of the reference's squares, its peak.

    c, r  flat, of one dtype, float32 or float64, aligned. None where NumPy has to measure.
    """
    bits = np.int32 if r.dtype == np.float32 else np.int64
    low = bits(np.iinfo(bits).max)
    best, worst, gaps, squares, reference, peak = _sweep(
        c, r, r.view(bits), low, _GAP, _GAP.view(np.int64)
    )
    largest = float(np.array(peak, bits).view(r.dtype))
    ordinary = math.isfinite(gaps) and math.isfinite(largest)
    for size in (best, largest):
        ordinary = ordinary and (size == 0.0 or _SMALLEST < size < _LARGEST)
    return (best, worst, gaps, squares, reference, largest) if ordinary else None
