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
AT_ONCE = 1 << 16  # elements, which stay in the cache
_KEY = 0x6D6F64656C706172  # fixed for format version 1

# The eight signs that a byte stands for, the lowest bit first: 1 for 0, -1 for 1.
_SIGNS = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1, bitorder="little")

Array = np.ndarray[Any, Any]


def sketch(array: Array) -> Array:
    """The sketch of an array, float64 (k,) with k <= LIMIT; a smaller array comes back as it is."""
    if array.size <= LIMIT:
        return array
    block = -(-array.size // LIMIT)
    rows = -(-array.size // block)
    bits = np.random.Philox(key=_KEY).random_raw(-(-rows * block // 64)).view(np.uint8)
    summed, flat = np.empty(rows), array.reshape(-1)
    at_once = max(8, AT_ONCE // block // 8 * 8)  # rows: their signs begin with a byte
    for first in range(0, rows, at_once):
        start, end = first * block, min(first + at_once, rows) * block
        signed = _SIGNS[bits[start // 8 : -(-end // 8)]].reshape(-1)[: end - start]
        with np.errstate(invalid="ignore", over="ignore"):
            signed[: array.size - start] *= flat[start:end]
            signed[array.size - start :] = 0.0
            signed.reshape(-1, block).sum(axis=1, out=summed[first : first + at_once])
    scaled: Array = summed / np.sqrt(block)
    return scaled
