"""Counter-based random numbers that both sides compute alike, from names and counters alone."""

import hashlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _key(*parts: object) -> int:
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:16], "little")


def keep_mask(where: tuple[object, ...], shape: tuple[int, ...], rate: float) -> Array:
    """A dropout mask, bool: True with probability 1 - rate, rounded to 1/65536.

    `where` (seed, update, site, run, ...) keys a Philox generator, so that a mask depends on
    nothing but its place (Salmon et al. 2011, doi:10.1145/2063384.2063405).
    """
    generator = np.random.Generator(np.random.Philox(key=_key(*where)))
    drawn = generator.integers(0, 65536, size=shape, dtype=np.uint16)
    mask: Array = drawn >= round(rate * 65536)
    return mask


def nudged(array: Array, where: tuple[object, ...]) -> Array:
    """The array with every element moved one ulp up or down, by a fair coin."""
    generator = np.random.Generator(np.random.Philox(key=_key(*where)))
    up = generator.integers(0, 2, size=array.shape, dtype=np.uint8).astype(bool)
    infinity = np.asarray(np.inf, array.dtype)
    moved: Array = np.nextafter(array, np.where(up, infinity, -infinity))
    return moved
