"""Distances in units in the last place, counted in a histogram of fixed size."""

import re
from functools import lru_cache

import numpy as np

from modelparity.compare.figures import Array

# Distances below EXACT have a bin each; above, each power of two is cut into SLICES.
EXACT_BITS, SLICE_BITS = 10, 6
EXACT, SLICES = 1 << EXACT_BITS, 1 << SLICE_BITS
BINS = EXACT + (64 - EXACT_BITS) * SLICES
PERCENTILES = (50, 90, 99, 100)
_FLOAT8 = re.compile(r"float8_e(\d)m(\d)([a-z0-9]*)$")
_EPSILONS = {
    "float64": 2.0**-52,
    "complex128": 2.0**-52,
    "float32": 2.0**-23,
    "complex64": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}


def epsilon(dtype: str) -> float:
    """One unit in the last place of 1.0, of a floating or complex dtype by its name.

    KeyError for a dtype that has none.
    """
    float8 = _FLOAT8.match(dtype)
    return 2.0 ** -int(float8[2]) if float8 else _EPSILONS[dtype]


@lru_cache(maxsize=8)
def _float8_values(dtype: str) -> Array:
    """The magnitudes of a float8, those of NaN and infinity among them, which do not occur.

    The biases are those of the OCP 8-bit floating point specification 1.0, and for the "fnuz"
    types of StableHLO's.
    """
    found = _FLOAT8.match(dtype)
    assert found is not None
    exponent_bits, bits, kind = int(found[1]), int(found[2]), found[3]
    bias = 2 ** (exponent_bits - 1) - 1 + kind.endswith("fnuz")
    bias = 11 if kind == "b11fnuz" else bias
    fractions = np.arange(1 << bits) / (1 << bits)
    normal = [(1.0 + fractions) * 2.0 ** (e - bias) for e in range(1, 1 << exponent_bits)]
    return np.concatenate([fractions * 2.0 ** (1 - bias), *normal])


def _ranks(values: Array, dtype: str) -> Array:
    """Values as whole numbers, one apart where no value of the dtype lies between; zeros alike.

    The bits of a binary float are in the order of its magnitudes (IEEE 754-2019, 3.4).
    """
    if dtype == "float64":
        bits = np.ascontiguousarray(values).view(np.int64)
        ranks = bits & np.int64(2**63 - 1)
    elif dtype == "float16":
        ranks = (values.astype(np.float16).view(np.int16) & np.int16(2**15 - 1)).astype(np.int64)
    elif _FLOAT8.match(dtype):
        ranks = np.searchsorted(_float8_values(dtype), np.abs(values))
    else:
        bits = values.astype(np.float32).view(np.int32) & np.int32(2**31 - 1)
        ranks = bits.astype(np.int64) >> (16 if dtype == "bfloat16" else 0)
    return np.where(np.signbit(values), -ranks, ranks)


def histogram(c: Array, r: Array, dtype: str) -> Array:
    """How many elements lie how many ulps apart; both finite, in float64."""
    a, b = _ranks(c, dtype), _ranks(r, dtype)
    # In uint64, where the distance of two int64 cannot overflow.
    distance = np.where(a > b, a.view(np.uint64) - b.view(np.uint64), 0)
    distance = np.where(b > a, b.view(np.uint64) - a.view(np.uint64), distance)
    return np.bincount(_bins(distance), minlength=BINS)


def _bins(distance: Array) -> Array:
    near = np.minimum(distance, EXACT - 1).astype(np.int64)
    far = np.flatnonzero(distance >= EXACT)
    if far.size:
        values = distance[far]
        # frexp of a rounded float64 may reach the next power of two: cut to 53 bits before.
        power = np.frexp((values >> np.uint64(11)).astype(np.float64))[1].astype(np.int64) + 10
        small = values < np.uint64(1 << 53)
        power[small] = np.frexp(values[small].astype(np.float64))[1].astype(np.int64) - 1
        shift = (power - SLICE_BITS).astype(np.uint64)
        part = (values >> shift).astype(np.int64) - SLICES
        near[far] = EXACT + (power - EXACT_BITS) * SLICES + part
    return near


def _upper(index: int) -> int:
    """The largest distance that a bin counts."""
    if index < EXACT:
        return index
    power, part = divmod(index - EXACT, SLICES)
    return int((SLICES + part + 1) << (power + EXACT_BITS - SLICE_BITS)) - 1


def percentiles(counts: Array) -> dict[str, int]:
    """The distance that so many percent of the elements do not exceed."""
    running = np.cumsum(counts)
    total = int(running[-1]) if running.size else 0
    if not total:
        return {}
    wanted = {p: int(np.searchsorted(running, -(-total * p // 100))) for p in PERCENTILES}
    return {str(p): _upper(index) for p, index in wanted.items()}
