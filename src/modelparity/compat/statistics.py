"""mean, max and min of abs(a - b) to the last digit as NumPy has them, without its temporaries."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
LEAF = 1 << 18  # elements that are subtracted at once


class Gap(NamedTuple):
    """Figures in the arrays' own dtype; `problem` says what no figure may excuse, else ""."""

    mean: Any = float("nan")
    max: Any = float("nan")
    min: Any = float("nan")
    problem: str = ""


def gap(a: Array, b: Array) -> Gap:
    """The figures of `np.abs(a - b)`, of two arrays of one shape."""
    if a.size == 0:
        return Gap(problem="there is nothing to compare: no elements")
    with np.errstate(all="ignore"):
        if a.dtype == b.dtype and a.dtype in (np.float32, np.float64):
            total, most, least = _pairwise(a.reshape(-1), b.reshape(-1))
            mean = a.dtype.type(total / a.size)
        else:
            distance = _distance(a, b)
            mean, most, least = distance.mean(), distance.max(), distance.min()
    odd = "" if np.isfinite(mean) and np.isfinite(most) else _odd(a, b)
    return Gap(mean, most, least, odd)


def _pairwise(a: Array, b: Array) -> tuple[Any, Any, Any]:
    """The sum as `np.add.reduce` forms it: halves, the first of a multiple of eight elements."""
    if a.size <= LEAF:
        distance = np.abs(a - b)
        return np.add.reduce(distance), distance.max(), distance.min()
    half = a.size // 2
    half -= half % 8
    left, right = _pairwise(a[:half], b[:half]), _pairwise(a[half:], b[half:])
    return left[0] + right[0], np.maximum(left[1], right[1]), np.minimum(left[2], right[2])


def _distance(a: Array, b: Array) -> Array:
    if a.dtype == np.bool_ and b.dtype == np.bool_:  # NumPy does not subtract them
        unequal: Array = (a != b).astype(np.float64)
        return unequal
    distance: Array = np.abs(a - b)
    return distance


def _odd(a: Array, b: Array) -> str:
    bad = ~(np.isfinite(a) & np.isfinite(b))
    count = int(np.count_nonzero(bad))
    if not count:
        return "the difference overflows"
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
    what = "1 element is" if count == 1 else f"{count:,} elements are"
    return f"{what} NaN or infinite" + (f", the first at {place}" if place else "")
