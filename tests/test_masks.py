"""Masks and nudges depend on their place alone."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelparity.masks import keep_mask, nudged

WHERE = (3, 0, "encoder.drop", 0)


def test_a_mask_is_the_same_every_time():
    first, second = (keep_mask(WHERE, (40, 50), 0.1) for _ in range(2))
    assert first.dtype == bool
    assert np.array_equal(first, second)


def test_a_mask_is_the_same_in_another_process():
    code = (
        "from modelparity.masks import keep_mask\n"
        f"print(''.join(map(str, keep_mask({WHERE}, (64,), 0.5).astype(int))))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = "".join(map(str, keep_mask(WHERE, (64,), 0.5).astype(int)))
    assert ran.stdout.strip() == own


@pytest.mark.parametrize("part", range(len(WHERE)))
def test_a_mask_changes_with_every_part_of_its_place(part):
    other = tuple(f"{value}1" if i == part else value for i, value in enumerate(WHERE))
    assert not np.array_equal(keep_mask(WHERE, (1000,), 0.5), keep_mask(other, (1000,), 0.5))


def test_parts_of_a_place_do_not_run_together():
    assert not np.array_equal(
        keep_mask((1, "2a"), (1000,), 0.5), keep_mask((12, "a"), (1000,), 0.5)
    )


def test_random_numbers_of_the_process_are_left_alone():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    keep_mask(WHERE, (10,), 0.5)
    nudged(np.ones(3), WHERE)
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_a_mask_keeps_all_but_its_rate(rate):
    kept = keep_mask(WHERE, (1000, 1000), rate).mean()
    assert kept == pytest.approx(1.0 - rate, abs=5e-3)


def test_rates_of_nothing_and_everything_are_exact():
    assert keep_mask(WHERE, (100_000,), 0.0).all()
    assert not keep_mask(WHERE, (100_000,), 1.0).any()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4)], ids=str)
def test_a_mask_has_the_shape_it_is_asked_for(shape):
    assert np.shape(keep_mask(WHERE, shape, 0.3)) == shape


@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20
    ).map(lambda values: np.array(values, np.float32))
)
def test_every_element_moves_by_one_ulp(array):
    with np.errstate(over="ignore"):  # the largest float may become infinite
        moved = nudged(array, WHERE)
        up, down = np.nextafter(array, np.float32(np.inf)), np.nextafter(array, -np.float32(np.inf))
    assert moved.dtype == array.dtype
    assert ((moved == up) | (moved == down)).all()


def test_about_half_of_the_elements_move_up():
    assert np.mean(nudged(np.ones(10_000), WHERE) > 1.0) == pytest.approx(0.5, abs=0.02)


def test_what_is_nudged_stays_as_it_was():
    array = np.ones(5)
    nudged(array, WHERE)
    assert array.tolist() == [1.0] * 5
