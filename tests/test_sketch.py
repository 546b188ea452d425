"""Sketches: every element of a large array takes part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelparity.sketch import LIMIT, sketch

SIZES = st.integers(LIMIT + 1, 60_000)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, size):
    return np.random.default_rng(seed).normal(size=size)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (LIMIT,), (64, 64)], ids=str)
def test_a_small_array_comes_back_as_it_is(shape):
    array = np.ones(shape, np.float32)
    assert sketch(array) is array


@settings(max_examples=25, deadline=None)
@given(size=SIZES, seed=SEEDS)
def test_a_sketch_has_at_most_the_limit_of_values(size, seed):
    found = sketch(drawn(seed, size))
    assert (found.dtype, found.ndim) == (np.float64, 1)
    assert LIMIT // 2 < found.size <= LIMIT


@settings(max_examples=25, deadline=None)
@given(size=SIZES, seed=SEEDS, factor=st.floats(-1e3, 1e3))
def test_a_sketch_is_linear(size, seed, factor):
    a, b = drawn(seed, size), drawn(seed + 1, size)
    together = sketch(a + factor * b)
    assert np.allclose(together, sketch(a) + factor * sketch(b), rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(size=SIZES, seed=SEEDS, where=st.floats(0.0, 1.0, exclude_max=True), data=st.data())
def test_one_bad_element_anywhere_is_found(size, seed, where, data):
    array = drawn(seed, size)
    wrong = array.copy()
    gap = data.draw(st.sampled_from([1e-6, 1e-3, 1.0, -1e6]))
    wrong[int(where * size)] += gap
    moved = sketch(wrong) - sketch(array)
    block = -(-size // LIMIT)
    assert np.count_nonzero(np.abs(moved) > 1e-12 * abs(gap) + 1e-13) == 1
    assert np.abs(moved).max() == pytest.approx(abs(gap) / np.sqrt(block), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, LIMIT, 9_999])
def test_a_value_that_is_not_finite_survives(bad, place):
    array = np.ones(10_000)
    array[place] = bad
    assert np.count_nonzero(~np.isfinite(sketch(array))) == 1


def test_infinities_of_both_signs_do_not_cancel():
    array = np.zeros(10_000)
    array[:3] = [np.inf, -np.inf, np.inf]
    assert not np.isfinite(sketch(array)[0])


def test_the_mean_square_of_a_sketch_estimates_that_of_the_array():
    array = drawn(0, 1_000_000)
    assert np.mean(sketch(array) ** 2) == pytest.approx(np.mean(array**2), rel=0.1)


def test_a_permutation_is_found():
    array = drawn(0, 10_000)
    assert not np.allclose(sketch(array[::-1].copy()), sketch(array))


def test_a_transposed_square_is_found():
    array = drawn(0, 10_000).reshape(100, 100)
    assert not np.allclose(sketch(array.T), sketch(array))


def test_the_layout_in_memory_does_not_matter():
    array = drawn(0, 10_000).reshape(100, 100)
    assert np.array_equal(sketch(np.asfortranarray(array)), sketch(array))


def test_float32_is_summed_in_float64():
    array = drawn(0, 10_000).astype(np.float32)
    assert np.array_equal(sketch(array), sketch(array.astype(np.float64)))


def test_the_signs_belong_to_the_format():
    """Other signs would make recordings of the same format version incomparable."""
    values = sketch(np.arange(1.0, 10_001.0))[:4] * np.sqrt(3.0)  # blocks of three
    assert values == pytest.approx([1 + 2 - 3, 4 + 5 + 6, -7 - 8 + 9, 10 - 11 + 12])
