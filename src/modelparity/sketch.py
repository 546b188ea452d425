"""Sketches: every element of a large array takes part, in a fixed number of values.

A recording of all parameters after each update of a six-layer model would be gigabytes. A sketch
replaces an array of n elements by at most LIMIT signed block sums, sum(s_i * x_i) / sqrt(block),
with signs fixed by position (Achlioptas 2003, doi:10.1016/S0022-0000(03)00025-4). It is linear, so
a constant ratio or offset survives; its mean square estimates the array's without bias, so the
root mean square of a difference of sketches estimates that of the arrays; and one element that is
off by d moves one value by d / sqrt(block).
"""

from typing import Any

import numpy as np

LIMIT = 4096
_KEY = 0x6D6F64656C706172  # fixed for format version 1

Array = np.ndarray[Any, Any]


def sketch(array: Array) -> Array:
    """The sketch of an array, float64 (k,) with k <= LIMIT; a smaller array comes back as it is."""
    if array.size <= LIMIT:
        return array
    block = -(-array.size // LIMIT)
    rows = -(-array.size // block)
    flat = np.zeros(rows * block, np.float64)
    flat[: array.size] = array.reshape(-1)
    bits = np.random.Philox(key=_KEY).random_raw(-(-flat.size // 64))
    signs = np.unpackbits(bits.view(np.uint8), bitorder="little")[: flat.size]
    np.negative(flat, where=signs.astype(bool), out=flat)
    with np.errstate(invalid="ignore", over="ignore"):
        summed: Array = flat.reshape(rows, block).sum(axis=1) / np.sqrt(block)
    return summed
