"""What follows from figures: nothing that is wrong, missing or empty is ever a pass."""

import math

import numpy as np
import pytest
from compare_holding import compared, only
from hypothesis import given, settings
from hypothesis import strategies as st

from modelparity.compare.sweep import CHUNK
from modelparity.model import Outcome

ALIGNED, DIVERGED, INCONCLUSIVE = Outcome.ALIGNED, Outcome.DIVERGED, Outcome.INCONCLUSIVE
DTYPES = ["float64", "float32", "float16", "complex64", "complex128", "int64", "uint8", "bool"]


def outcome(candidate, reference, **options):
    return compared(candidate, reference, **options).outcome


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 3, CHUNK // 4)])
def test_equal_tensors_are_aligned(dtype, shape):
    values = np.random.default_rng(0).standard_normal(shape) * 10
    array = np.asarray(values).astype(dtype)
    assert outcome(array.copy(), array) is ALIGNED


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [((), (1,)), ((1,), ()), ((3,), (1, 3)), ((2, 3), (3, 2)), ((0,), (1,))],
)
def test_another_shape_is_a_finding(candidate, reference):
    found = only(np.zeros(candidate), np.zeros(reference))
    assert found.finding.outcome is DIVERGED
    assert found.finding.message == f"shape {candidate} against {reference}"


@pytest.mark.parametrize(
    ("candidate", "reference"), [("float32", "float64"), ("int32", "int64"), ("int64", "float64")]
)
def test_another_dtype_is_a_finding_although_the_values_are_equal(candidate, reference):
    found = only(np.arange(5, dtype=candidate), np.arange(5, dtype=reference))
    assert found.finding.outcome is DIVERGED
    assert found.finding.message == f"dtype {candidate} against {reference}"
    assert found.figures.max_abs == 0.0


def test_a_name_that_one_side_lacks_is_a_finding():
    x = np.ones(3)
    found = compared({"a": x, "new": x}, {"a": x, "old": x})
    assert found.outcome is DIVERGED
    said = {c.finding.name: c.finding.message for c in found.tensors}
    assert said["old"] == "the candidate has no such tensor"
    assert said["new"] == "the reference has no such tensor"


def test_another_spelling_is_suggested_and_not_compared():
    x = np.ones(3)
    found = compared({"norm.weight": x}, {"norm.gamma": x})
    assert found.outcome is DIVERGED
    hints = [hint for c in found.tensors for hint in c.finding.hints]
    assert hints == ["it looks like norm.weight: --rename 'norm.gamma -> norm.weight'"]
    assert outcome({"norm.weight": x}, {"norm.gamma": x}, rename=["norm.gamma -> norm.weight"]) is (
        ALIGNED
    )


def test_nothing_compared_is_inconclusive():
    assert outcome({}, {}) is INCONCLUSIVE
    assert outcome(np.zeros((0, 3)), np.zeros((0, 3))) is INCONCLUSIVE


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "complex64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK])
def test_a_value_that_is_not_finite_on_one_side_diverged(dtype, bad, place):
    x = np.ones(3 * CHUNK + 1, dtype)
    y = x.copy()
    y[place] = bad
    for c, r in ((x, y), (y, x)):
        found = only(c, r)
        assert found.finding.outcome is DIVERGED
        assert found.figures.first_nonfinite == (place,)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_same_that_is_not_finite_on_both_sides_is_no_pass(bad):
    x = np.ones(9, np.float32)
    x[4] = bad
    assert outcome(x.copy(), x) is INCONCLUSIVE
    y = x.copy()
    y[0] = 2.0
    assert outcome(y, x) is DIVERGED


def test_all_nan_is_no_pass():
    x = np.full(5, np.nan)
    assert outcome(x, x.copy()) is INCONCLUSIVE


def test_infinities_of_other_signs_diverged():
    assert outcome(np.array([np.inf, 1.0]), np.array([-np.inf, 1.0])) is DIVERGED


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 5 * CHUNK),
    st.sampled_from(["float64", "float32", "float16", "int32", "bool"]),
    st.sampled_from(["numpy", ""]),
)
def test_one_bad_element_anywhere_is_found(place, dtype, kernel):
    r = np.ones(5 * CHUNK + 1, dtype)
    c = r.copy()
    c[place] = 0
    found = only(c, r, kernel=kernel)
    assert found.finding.outcome is DIVERGED
    assert found.figures.worst == (place,)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_lies_beyond_is_counted_and_the_first_is_named(dtype):
    r = np.ones((70, CHUNK), dtype)  # two parts
    c = r.copy()
    c[3, 5], c[66, 7], c[69, 0] = 1.5, 3.0, 1.5
    found = only(c, r)
    assert (found.figures.beyond, found.figures.first_beyond) == (3, (3, 5))
    assert found.figures.worst == (66, 7)
    assert found.finding.message.endswith("the first at (3, 5); worst at (66, 7): 3 against 1")


def test_a_nan_is_counted_among_what_lies_beyond():
    r = np.ones(100)
    c = r.copy()
    c[3], c[50] = np.nan, 2.0
    found = only(c, r)
    assert (found.figures.beyond, found.figures.first_beyond) == (2, (3,))


def test_rounding_is_within_and_ten_times_the_tolerance_is_not():
    r = np.random.default_rng(0).standard_normal(10_000)
    noise = np.random.default_rng(1).standard_normal(10_000)
    for dtype, small in (("float64", 1e-13), ("float32", 1e-6), ("float16", 1e-4)):
        assert outcome((r + small * noise).astype(dtype), r.astype(dtype)) is ALIGNED
    for dtype, large in (("float64", 1e-11), ("float32", 1e-4), ("float16", 4e-2)):
        assert outcome((r + large * noise).astype(dtype), r.astype(dtype)) is DIVERGED


def test_a_reference_of_zeros_allows_nothing_and_says_what_to_do():
    found = only({"b": np.full(3, 1e-12)}, {"b": np.zeros(3)})
    assert found.finding.outcome is DIVERGED
    assert "--tolerance 'b: atol=1e-8'" in found.finding.hints[0]
    again = outcome({"b": np.full(3, 1e-12)}, {"b": np.zeros(3)}, tolerance=["b: atol=1e-8"])
    assert again is ALIGNED


def test_a_tolerance_is_for_the_names_of_its_pattern_and_the_last_one_counts():
    r = np.ones(10)
    both = {"a.weight": r, "a.bias": r}, {"a.weight": r * 1.01, "a.bias": r * 1.01}
    assert outcome(*both) is DIVERGED
    assert outcome(*both, tolerance=["rms=0.1, peak=0.1"]) is ALIGNED
    [bias, weight] = compared(*both, tolerance=["rms=0.1", "*.bias: exact"]).tensors
    assert (bias.finding.name, bias.finding.outcome) == ("a.bias", DIVERGED)
    assert bias.limit == "--tolerance *.bias: exact"
    assert weight.finding.outcome is ALIGNED


def test_a_tolerance_without_a_pattern_leaves_whole_numbers_exact():
    assert outcome(np.array([1, 2]), np.array([1, 3]), tolerance=["rms=9, peak=9"]) is DIVERGED
    named = compared({"i": np.array([1, 2])}, {"i": np.array([1, 3])}, tolerance=["i: atol=1"])
    assert named.outcome is ALIGNED


@settings(deadline=None)
@given(st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.integers(0, 2**32 - 1))
def test_elements_are_within_as_numpy_has_it(rtol, atol, seed):
    g = np.random.default_rng(seed)
    r = g.standard_normal(50)
    c = r + g.standard_normal(50) * 0.2
    found = only(c, r, tolerance=[f"rtol={rtol}, atol={atol}"])
    beyond = ~(np.abs(c - r) <= atol + rtol * np.abs(r))
    assert found.figures.beyond == np.count_nonzero(beyond)
    assert found.finding.outcome is (DIVERGED if beyond.any() else ALIGNED)


def test_exact_floats_are_counted():
    r = np.ones(10, np.float32)
    c = r.copy()
    c[[2, 7]] = np.nextafter(c[0], np.float32(2))
    found = only(c, r, tolerance=["exact"])
    assert found.finding.outcome is DIVERGED
    assert found.finding.message.startswith("2 of 10 elements differ, the first at (2)")


def test_integers_that_a_float_cannot_tell_apart_are_unequal():
    found = only(np.array([2**60 + 1]), np.array([2**60]))
    assert found.finding.outcome is DIVERGED
    assert (found.figures.worst_candidate, found.figures.worst_reference) == (2**60 + 1, 2**60)


class TestTruth:
    """Judged by a more precise file, float32 is within ten times the reference's own distance."""

    truth = np.random.default_rng(0).standard_normal(5000)
    reference = truth.astype(np.float32)

    def judged(self, candidate, **changes):
        return only(candidate, **{"reference": self.reference, "truth": self.truth, **changes})

    def test_rounding_like_the_references_is_aligned(self):
        c = np.nextafter(self.reference, np.float32(9))
        found = self.judged(c)
        assert found.finding.outcome is ALIGNED
        assert found.own.max_abs == np.abs(self.reference - self.truth).max()

    def test_a_gap_that_the_dtypes_tolerance_lets_pass_diverged(self):
        c = (self.truth * (1 + 3e-6)).astype(np.float32)
        assert only(c, self.reference).finding.outcome is ALIGNED
        assert self.judged(c).finding.outcome is DIVERGED

    def test_one_outlier_diverged_though_the_rms_is_small(self):
        big = np.random.default_rng(1).standard_normal(4_000_000)
        r = big.astype(np.float32)
        c = r.copy()
        c[17] += np.float32(2e-4)
        found = only(c, r, truth=big)
        assert found.finding.outcome is DIVERGED
        assert (found.figures.beyond, found.figures.first_beyond) == (1, (17,))

    def test_a_truth_that_is_no_more_precise_is_inconclusive(self):
        found = self.judged(self.reference, truth=self.reference)
        assert found.finding.outcome is INCONCLUSIVE
        assert "no more precise" in found.finding.message

    @pytest.mark.parametrize("truth", [{}, {"array": np.zeros(3)}])
    def test_a_truth_that_is_missing_or_of_another_shape_is_inconclusive(self, truth):
        assert self.judged(self.reference, truth=truth).finding.outcome is INCONCLUSIVE

    def test_a_nan_in_the_truth_is_no_pass(self):
        truth = self.truth.copy()
        truth[3] = np.nan
        assert self.judged(self.reference, truth=truth).finding.outcome is DIVERGED

    def test_whole_numbers_need_no_truth(self):
        i = np.arange(5)
        assert compared({"i": i}, {"i": i}, truth={}).outcome is ALIGNED


def test_the_worst_comes_first():
    r = np.ones(4)
    candidate = {"fine": r, "bad": r * 2, "worse": r * 9, "nan": r * np.nan}
    found = compared(candidate, dict.fromkeys(candidate, r))
    assert [c.finding.name for c in found.tensors] == ["nan", "worse", "bad", "fine"]
    assert found.reason.startswith("nan: 4 elements are NaN or infinite in the candidate only")


def test_a_ratio_of_one_is_the_limit():
    r = np.full(16, 2.0)
    found = only(r + 0.5, r, tolerance=["peak=0.25"])
    assert (found.finding.ratio, found.finding.outcome) == (1.0, ALIGNED)
    found = only(r + 0.5 * (1 + 1e-12), r, tolerance=["peak=0.25"])
    assert found.finding.outcome is DIVERGED
    assert math.isclose(found.finding.ratio, 1.0)


def test_a_tensor_that_may_be_noise_diverged_and_says_so():
    r = np.random.default_rng(0).standard_normal(100)
    reference = {"a": r, "b": r, "key.bias": r * 1e-9}
    found = compared({**reference, "key.bias": r[::-1] * 1e-9}, reference)
    assert found.outcome is DIVERGED
    assert "vanish mathematically" in found.tensors[0].finding.hints[0]
