"""Mistakes are told from two arrays alone, and none is named where none was made."""

import numpy as np
import pytest

from modelparity.diagnose import arrays

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.standard_normal((16, 16))
TALL = RANDOM.standard_normal((24, 10))
LABELS = RANDOM.integers(0, 9, (8, 40))


def hints(candidate, reference, **known):
    found = arrays.explain(candidate=np.asarray(candidate), reference=reference, **known)
    return [str(hint) for hint in found]


def shifted(array):
    return np.concatenate([np.zeros_like(array[:1]), array[:-1]])


def one_row(array, change):
    wrong = array.copy()
    wrong[5] = change(wrong[5])
    return wrong


@pytest.mark.parametrize(
    ("candidate", "reference", "said"),
    [
        (-TALL, TALL, "the sign is reversed"),
        (MATRIX.T, MATRIX, "it is transposed"),
        (TALL[::-1], TALL, "the rows are in reverse order"),
        (TALL[[1, 0, *range(2, 24)]], TALL, "rows 0 and 1 are exchanged"),
        (TALL.reshape(3, 8, 10)[::-1].reshape(24, 10), TALL, "permuted in 3 blocks of 8"),
        (TALL[:, RANDOM.permutation(10)], TALL, "slices of axis 1 are permuted"),
        (TALL * 24.0, TALL, "a sum over 24 in place of their mean"),
        (TALL / 10.0, TALL, "a mean over 10 in place of their sum"),
        (TALL / np.sqrt(10.0), TALL, "divided by sqrt(10)"),
        (TALL * 0.9, TALL, "1 - p for p = 0.1"),
        (TALL / 0.8, TALL, "1/(1 - p) for p = 0.2"),
        (TALL + 0.25, TALL, "0.25 is added everywhere"),
        (shifted(TALL), TALL, "it comes 1 too late along axis 0"),
        (TALL[np.r_[1:24, 0]], TALL, "it comes 1 too early along axis 0"),
        (TALL.astype(np.float16).astype(np.float64), TALL, "the values went through float16"),
        (np.clip(TALL, -0.5, 0.5), TALL, "values are cut to -0.5 ... 0.5"),
        (TALL * 0.0, TALL, "the candidate is zero everywhere"),
        (np.where(TALL > 1.0, 0.0, TALL), TALL, "of the elements are zero"),
        (one_row(TALL, lambda row: -row), TALL, "only index 5 of 24 along axis 0 differs"),
        (one_row(TALL, lambda row: -row), TALL, "there the sign is reversed"),
        ((LABELS + 3) % 9, LABELS, "values are renumbered: 0 as 3"),
        (np.where(LABELS == 2, 5, LABELS), LABELS, "values fall together: 2 as 5"),
        (LABELS + 1, LABELS, "1 is added everywhere"),
    ],
)
def test_a_mistake_is_named(candidate, reference, said):
    found = hints(candidate, reference)
    assert any(said in hint for hint in found), found


def test_the_hint_says_how_far_the_gap_falls():
    [first, *_] = hints(1.1 * TALL + 1e-12 * TALL**2, TALL)
    assert first.startswith("it is 1.1 times the reference")
    assert "the gap falls from 1.0e-01 to" in first


def test_dropout_is_told_from_zeros_and_what_the_others_are_multiplied_by():
    kept = RANDOM.random(TALL.shape) >= 0.1
    found = hints(np.where(kept, TALL / 0.9, 0.0), TALL)
    assert any("dropout is active" in hint and "1.11111 times" in hint for hint in found)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (40,), (16, 16), (3, 4, 5)])
def test_unrelated_noise_is_not_explained(shape):
    reference = np.asarray(RANDOM.standard_normal(shape))
    assert hints(reference + RANDOM.standard_normal(shape), reference) == []


def test_a_ratio_of_a_single_number_is_named_only_where_something_makes_it():
    reference = np.array(0.7)
    assert hints(reference * 1.2345, reference) == []
    counts = {"positions": 96.0, "labels": 31.0}
    found = hints(reference * 31.0 / 96.0, reference, counts=counts)
    assert any("divided by the 96 positions in place of the 31 labels" in hint for hint in found)


@pytest.mark.parametrize("wrong", [np.full((24, 10), np.nan), np.zeros((10, 24)), TALL])
def test_what_cannot_be_explained_has_no_hint(wrong):
    assert hints(wrong, TALL) == []
