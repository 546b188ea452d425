"""Measured distances, against plain NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelparity.diff import measure, rms

SHAPES = npst.array_shapes(min_dims=0, max_dims=3, max_side=5)
MODEST = st.floats(-1e100, 1e100).map(lambda x: 0.0 if abs(x) < 1e-100 else x)
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(*[npst.arrays(np.float64, shape, elements=MODEST)] * 2)
)
INTEGERS = st.sampled_from(["int64", "int8", "uint8", "uint64", "bool"]).flatmap(
    lambda dtype: SHAPES.flatmap(
        lambda shape: st.tuples(
            *[npst.arrays(dtype, shape, elements=npst.from_dtype(np.dtype(dtype)))] * 2
        )
    )
)
ANY = npst.arrays(np.float64, SHAPES, elements=st.floats())
TINY = 5e-324


def close(found, expected):
    return math.isclose(found, expected, rel_tol=1e-12) or found == expected


@given(PAIRS)
def test_figures_are_those_of_plain_numpy(pair):
    c, r = pair
    diff, gap = measure(candidate=c, reference=r), np.abs(c - r)
    assert diff.elements == r.size
    assert diff.unequal == np.count_nonzero(c != r)
    assert close(diff.max_abs, gap.max())
    assert close(diff.mean_abs, gap.mean())
    assert close(diff.rms, math.sqrt(math.fsum((gap.reshape(-1) ** 2).tolist()) / gap.size))
    assert close(diff.reference_rms, np.sqrt(np.mean(r**2)))
    assert close(diff.reference_peak, np.abs(r).max())
    assert (diff.reference_value, diff.candidate_value) == (r[diff.worst], c[diff.worst])
    assert gap[diff.worst] == gap.max()


@given(INTEGERS)
def test_integers_are_equal_or_not_as_they_are(pair):
    c, r = pair
    diff = measure(candidate=c, reference=r)
    assert diff.unequal == sum(a != b for a, b in zip(c.flat, r.flat, strict=True))
    assert not diff.unequal or c[diff.worst] != r[diff.worst]


def test_large_integers_that_a_float_cannot_tell_apart_are_unequal():
    diff = measure(candidate=np.array([2**60 + 1]), reference=np.array([2**60]))
    assert diff.unequal == 1


@given(ANY)
def test_an_array_lies_at_no_distance_from_itself(array):
    diff = measure(candidate=array, reference=array)
    assert (diff.max_abs, diff.mean_abs, diff.rms) == (0.0, 0.0, 0.0)
    assert diff.nonfinite == np.count_nonzero(~np.isfinite(array))


@given(ANY, ANY)
def test_other_shapes_cannot_be_compared(a, b):
    if a.shape != b.shape:
        with pytest.raises(ValueError, match="cannot be compared"):
            measure(candidate=a, reference=b)


@pytest.mark.parametrize(("c", "r"), [((), (1,)), ((1,), (3,)), ((2, 1), (2, 2)), ((0,), ())])
def test_nothing_broadcasts(c, r):
    with pytest.raises(ValueError, match="cannot be compared"):
        measure(candidate=np.zeros(c), reference=np.zeros(r))


def test_nothing_is_measured_as_nothing():
    diff = measure(candidate=np.zeros((0, 3)), reference=np.zeros((0, 3)))
    assert (diff.elements, diff.max_abs, diff.rms) == (0, 0.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["candidate", "reference", "both"])
def test_a_value_that_is_not_finite_is_counted_and_left_out(bad, side):
    c, r = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.5, 2.0], [3.0, 4.0]])
    if side != "reference":
        c[1, 0] = bad
    if side != "candidate":
        r[1, 0] = bad
    diff = measure(candidate=c, reference=r)
    assert (diff.nonfinite, diff.worst) == (1, (1, 0))
    assert (diff.max_abs, diff.mean_abs) == (0.5, 0.5 / 3)
    assert diff.rms == pytest.approx(np.sqrt(0.25 / 3))
    assert diff.reference_rms == pytest.approx(np.sqrt((1.5**2 + 4 + 16) / 3))


def test_values_that_are_all_not_finite_are_all_counted():
    diff = measure(candidate=np.full(3, np.nan), reference=np.ones(3))
    assert (diff.nonfinite, diff.rms, diff.mean_abs) == (3, 0.0, 0.0)


@pytest.mark.parametrize("size", [1e300, 1.7e308, 1e-300, TINY], ids=str)
def test_huge_and_tiny_values_are_not_lost(size):
    c, r = np.array([size, 0.0, 0.0, 0.0]), np.zeros(4)
    diff = measure(candidate=c, reference=r)
    assert diff.max_abs == size
    assert diff.rms == pytest.approx(size / 2, rel=1e-9, abs=TINY)
    assert measure(candidate=r, reference=c).reference_peak == size


def test_a_distance_that_overflows_is_infinite():
    huge = np.full(3, 1.7e308)
    diff = measure(candidate=huge, reference=-huge)
    assert (diff.max_abs, diff.mean_abs, diff.rms) == (np.inf, np.inf, np.inf)
    assert diff.nonfinite == 0


def test_a_sum_of_distances_that_overflows_makes_no_noise():
    diff = measure(candidate=np.full(3, 1.7e308), reference=np.zeros(3))
    assert diff.rms == pytest.approx(1.7e308)
    assert diff.mean_abs == pytest.approx(1.7e308)


def test_float32_is_measured_in_float64():
    c, r = np.float32([1.0 + 2**-23]), np.float32([1.0])
    assert measure(candidate=c, reference=r).max_abs == 2**-23


def test_float16_does_not_overflow():
    c, r = np.float16([6e4]), np.float16([-6e4])
    assert measure(candidate=c, reference=r).max_abs == 120_000.0


@given(npst.arrays(np.float64, SHAPES, elements=MODEST))
def test_the_root_mean_square_is_that_of_plain_numpy(array):
    assert close(rms(array), np.sqrt(np.mean(array**2)))


def test_the_root_mean_square_of_nothing_is_zero():
    assert rms(np.zeros((0, 2))) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_root_mean_square_of_what_is_not_finite_is_not_finite(bad):
    assert not np.isfinite(rms(np.array([1.0, bad])))
