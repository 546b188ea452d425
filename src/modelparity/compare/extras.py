"""Figures that decide nothing and are computed only where they are asked for."""

import math

import numpy as np

from modelparity.compare.figures import ZERO, Array, Extras, Scaled
from modelparity.compare.ulps import epsilon, histogram


def relative_floor(dtype: str) -> float:
    """What a reference smaller than this is taken for in relative distances: one ulp of 1.0."""
    return epsilon(dtype)


def extras(c: Array, r: Array, gap: Array, dtype: str) -> Extras:
    """The extras of two finite chunks in float64 or complex128 and their distance.

    dtype  the tensors' own; "" for whole numbers, which have no units in the last place
    """
    complex_ = r.dtype.kind == "c"
    size_c, size_r = np.abs(c), np.abs(r)
    floor = relative_floor(dtype) if dtype else 1.0
    zero_c, zero_r = c == 0, r == 0
    flips = 0
    if not complex_:
        flips = int(np.count_nonzero((np.signbit(c) != np.signbit(r)) & ~zero_c & ~zero_r))
    peak_c, peak_r = float(size_c.max()), float(size_r.max())
    products = np.conj(r) if complex_ else r
    return Extras(
        max_relative=float((gap / np.maximum(size_r, floor)).max()),
        sign_flips=flips,
        zero_unlike=int(np.count_nonzero(zero_c != zero_r)),
        products=_product(c, peak_c, products, peak_r),
        candidate_squares=_product(size_c, peak_c, size_c, peak_c),
        reference_squares=_product(size_r, peak_r, size_r, peak_r),
        ulps=None if complex_ or not dtype else histogram(c, r, dtype),
    )


def _product(x: Array, x_peak: float, y: Array, y_peak: float) -> Scaled:
    """The sum of products, of their real parts where they are complex."""
    if x_peak == 0.0 or y_peak == 0.0:
        return ZERO
    if not (math.isfinite(x_peak) and math.isfinite(y_peak)):  # a modulus may overflow
        return Scaled(math.inf)
    down, side = math.frexp(x_peak)[1], math.frexp(y_peak)[1]
    products = _scaled(x, -down) * _scaled(y, -side)
    exponent = down + side
    value = float(np.add.reduce(products.real))
    # An even exponent, so that the root of a sum of squares keeps a whole one.
    return Scaled(value, exponent) if exponent % 2 == 0 else Scaled(2.0 * value, exponent - 1)


def _scaled(values: Array, exponent: int) -> Array:
    if values.dtype.kind != "c":
        scaled: Array = np.ldexp(values, exponent)
        return scaled
    joined: Array = np.ldexp(values.real, exponent) + 1j * np.ldexp(values.imag, exponent)
    return joined
