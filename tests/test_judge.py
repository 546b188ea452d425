"""Rules of judgement: what passes proves something, and nothing doubtful passes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelparity import judge
from modelparity.model import Finding, Outcome, Tolerance

ALIGNED, DIVERGED, INCONCLUSIVE = Outcome.ALIGNED, Outcome.DIVERGED, Outcome.INCONCLUSIVE
SHAPES = npst.array_shapes(min_dims=1, max_dims=3, max_side=5)
MODEST = st.floats(0.01, 100.0)
ARRAYS = npst.arrays(np.float64, SHAPES, elements=MODEST)
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(*[npst.arrays(np.float64, shape, elements=MODEST)] * 2)
)
GAPS = st.sampled_from([0.0, 1e-15, 1e-13, 1e-12, 1e-11, 1e-9, 1e-6, 1.0])


def noise(name, *, candidate, reference):
    return judge.noise(name, candidate=candidate, reference=reference, truth=reference)


def trajectory(name, *, candidate, reference):
    allowed = np.full(np.shape(reference), 1e-10 * np.max(np.abs(reference), initial=0.0))
    return judge.trajectory(name, candidate=candidate, reference=reference, allowed=allowed)


RULES = {
    "exact": judge.exact,
    "float64": judge.float64,
    "noise": noise,
    "schedule": judge.schedule,
    "trajectory": trajectory,
}
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def outcome(rule, candidate, reference):
    candidate, reference = np.asarray(candidate), np.asarray(reference)
    return rule("it", candidate=candidate, reference=reference).outcome


@pytest.mark.parametrize("value", Outcome, ids=str)
def test_an_outcome_has_no_truth_value(value):
    with pytest.raises(TypeError, match="three values"):
        bool(value)
    with pytest.raises(TypeError, match="three values"):
        assert value


@rules
@given(array=ARRAYS)
def test_an_array_is_aligned_with_itself(rule, array):
    if rule in (judge.schedule, trajectory):
        array = array.reshape(-1)
    found = rule("it", candidate=array.copy(), reference=array)
    assert (found.outcome, found.ratio, found.message) == (ALIGNED, 0.0, "")


@rules
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_value_that_is_not_finite_matches_nothing(rule, bad, place):
    good = np.linspace(1.0, 2.0, 5)
    wrong = good.copy()
    wrong[place] = bad
    assert outcome(rule, wrong, good) is DIVERGED
    assert outcome(rule, good, wrong) is DIVERGED
    assert outcome(rule, wrong, wrong.copy()) is INCONCLUSIVE
    other = wrong.copy()
    other[1] = 1.0
    assert outcome(rule, other, wrong) is DIVERGED


@rules
def test_one_nan_is_no_other_infinity(rule):
    assert outcome(rule, [1.0, np.nan], [1.0, np.inf]) is DIVERGED
    assert outcome(rule, [1.0, -np.inf], [1.0, np.inf]) is DIVERGED


@rules
def test_nothing_but_nan_on_both_sides_is_inconclusive(rule):
    assert outcome(rule, [np.nan] * 3, [np.nan] * 3) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("side", "expected"),
    [("candidate", DIVERGED), ("reference", DIVERGED), ("truth", INCONCLUSIVE)],
)
def test_noise_counts_what_is_not_finite_on_any_of_its_arrays(side, expected):
    arrays = {name: np.ones(3) for name in ("candidate", "reference", "truth")}
    arrays[side][1] = np.nan
    found = judge.noise("it", **arrays)
    assert found.outcome is expected
    assert found.message.startswith("1 element is NaN or infinite")


@rules
@pytest.mark.parametrize(
    ("candidate", "reference"), [((), (1,)), ((1,), ()), ((2, 1), (1, 2)), ((3,), (3, 1))], ids=str
)
def test_other_shapes_diverge(rule, candidate, reference):
    found = rule("it", candidate=np.ones(candidate), reference=np.ones(reference))
    assert found.outcome is DIVERGED
    assert found.message == f"shape {candidate} against {reference}"


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r is not noise])
def test_other_dtypes_diverge(rule):
    found = rule("it", candidate=np.ones(3, np.float32), reference=np.ones(3))
    assert (found.outcome, found.message) == (DIVERGED, "dtype float32 against float64")


@rules
@pytest.mark.parametrize("shape", [(0,), (3, 0)], ids=str)
def test_an_empty_comparison_is_inconclusive(rule, shape):
    assert outcome(rule, np.ones(shape), np.ones(shape)) is INCONCLUSIVE


@rules
def test_a_gap_that_overflows_diverges(rule):
    huge = np.full(4, 1.7e308)
    assert outcome(rule, huge, -huge) is DIVERGED


@rules
def test_anything_beside_zeros_diverges(rule):
    wrong = np.zeros(4)
    wrong[3] = 1e-9
    assert outcome(rule, wrong, np.zeros(4)) is DIVERGED
    assert outcome(rule, np.zeros(4), np.zeros(4)) is ALIGNED


@rules
@given(array=ARRAYS, where=st.floats(0.0, 1.0, exclude_max=True), down=st.booleans())
def test_one_bad_element_anywhere_is_found(rule, array, where, down):
    array = array.reshape(-1)
    wrong = array.copy()
    gap = np.abs(array).max() * {noise: 2e-5}.get(rule, 1e-9)
    wrong[int(where * array.size)] += -gap if down else gap
    found = rule("it", candidate=wrong, reference=array)
    assert found.outcome is DIVERGED
    assert found.diff.worst == (int(where * array.size),)


def test_one_bad_element_among_very_many_is_found():
    reference = np.ones(1_000_000)
    wrong = reference.copy()
    wrong[123_456] += 1.01e-10
    found = judge.float64("it", candidate=wrong, reference=reference)
    assert (found.outcome, found.diff.worst) == (DIVERGED, (123_456,))


TOLERANCES = st.builds(
    Tolerance, *[st.sampled_from([0.0, 1e-14, 1e-12, 1e-10, 1e-6, 1.0])] * 2, st.just("a test")
)


@given(PAIRS, GAPS, TOLERANCES, TOLERANCES, *[st.sampled_from([0.0, 1e-3, 1.0, 1e6])] * 2)
def test_widening_a_tolerance_never_turns_a_pass_into_a_failure(pair, gap, first, second, a, b):
    reference, candidate = pair[0], pair[0] + gap * pair[1]
    wide = Tolerance(max(first.rms, second.rms), max(first.peak, second.peak), "wider")
    measured = partial(judge.float64, "it", candidate=candidate, reference=reference)
    narrow = measured(tolerance=first, floor=a)
    wider = measured(tolerance=wide, floor=max(a, b))
    assert wider.ratio <= narrow.ratio
    assert narrow.outcome is DIVERGED or wider.outcome is ALIGNED


@given(PAIRS, GAPS, st.floats(0.0, 1.0), st.floats(1.0, 1e6))
def test_a_noisier_reference_never_turns_a_pass_into_a_failure(pair, gap, own, factor):
    truth, candidate = pair[0], pair[0] + gap * pair[1]
    found = [
        judge.noise("it", candidate=candidate, reference=truth + moved, truth=truth)
        for moved in (own * 1e-6, own * 1e-6 * factor)
    ]
    assert found[1].ratio <= found[0].ratio * (1 + 1e-9)


@given(PAIRS, GAPS, st.floats(0.0, 1.0), st.floats(1.0, 1e6))
def test_a_wider_envelope_never_turns_a_pass_into_a_failure(pair, gap, allowed, factor):
    reference = pair[0].reshape(-1)
    candidate = reference + gap * pair[1].reshape(-1)
    found = [
        judge.trajectory(
            "it",
            candidate=candidate,
            reference=reference,
            allowed=np.full(reference.size, allowed * scale),
        ).outcome
        for scale in (1.0, factor)
    ]
    assert found[0] is DIVERGED or found[1] is ALIGNED


@pytest.mark.parametrize(("gap", "expected"), [(0.9e-12, ALIGNED), (1.1e-12, DIVERGED)])
def test_float64_bounds_the_root_mean_square(gap, expected):
    assert outcome(judge.float64, np.full(10, 3.0 * (1 + gap)), np.full(10, 3.0)) is expected


@pytest.mark.parametrize(("floor", "expected"), [(0.0, DIVERGED), (1e-3, ALIGNED)])
def test_a_floor_excuses_what_vanishes_mathematically(floor, expected):
    candidate, reference = np.array([3e-17, -1e-17]), np.array([-2e-17, 4e-17])
    found = judge.float64("it", candidate=candidate, reference=reference, floor=floor)
    assert found.outcome is expected


@given(st.lists(ARRAYS, max_size=5))
def test_the_scale_of_a_group_is_the_median_of_its_finite_tensors(arrays):
    found = judge.group_scale([*arrays, *([np.array([np.nan])] if arrays else [])])
    scales = sorted(float(np.sqrt(np.mean(a**2))) for a in arrays)
    assert found == pytest.approx(np.median(scales) if scales else 0.0)


@pytest.mark.parametrize(("rounding", "expected"), [(1e-6, ALIGNED), (judge.ULP32, DIVERGED)])
def test_a_tensor_that_the_reference_rounds_well_by_luck_is_granted_its_groups_rounding(
    rounding, expected
):
    truth = np.full(4, 2.0)
    candidate = (truth * (1.0 + 5e-6)).astype(np.float32)
    arrays = {"candidate": candidate, "reference": truth.astype(np.float32), "truth": truth}
    assert judge.noise("it", **arrays, relative=rounding).outcome is expected


def test_the_rounding_of_a_group_is_the_median_of_its_tensors():
    truth = np.full(4, 2.0)
    pairs = [((truth * (1.0 + gap)), truth) for gap in (0.0, 3e-6, 1.0)]
    assert judge.group_rounding(pairs) == pytest.approx(3e-6)


@pytest.mark.parametrize("pairs", [[], [(np.zeros(3), np.zeros(3))], [(np.ones(2), np.ones(3))]])
def test_a_group_that_shows_no_rounding_is_granted_one_ulp(pairs):
    assert judge.group_rounding(pairs) == judge.ULP32


@pytest.mark.parametrize(("factor", "expected"), [(9.9, ALIGNED), (10.1, DIVERGED)])
@pytest.mark.parametrize("own", [1e-6, 1e-3])
def test_noise_may_be_ten_times_the_references_own(own, factor, expected):
    truth = np.full(100, 2.0)
    found = judge.noise("it", candidate=truth + factor * own, reference=truth + own, truth=truth)
    assert found.outcome is expected


@pytest.mark.parametrize(("ulps", "expected"), [(9.9, ALIGNED), (10.1, DIVERGED)])
def test_noise_of_an_exact_reference_is_an_ulp(ulps, expected):
    truth = np.full(100, 2.0)
    found = noise("it", candidate=truth * (1 + ulps * 2.0**-23), reference=truth)
    assert found.outcome is expected


@pytest.mark.parametrize(("ulps", "expected"), [(0, ALIGNED), (1, ALIGNED), (2, DIVERGED)])
def test_a_schedule_may_leave_by_an_ulp_of_the_peak(ulps, expected):
    rates = 5e-5 * np.linspace(0.0, 1.0, 20)
    wrong = rates.copy()
    wrong[7] += ulps * np.spacing(rates.max())
    found = judge.schedule("it", candidate=wrong, reference=rates)
    assert found.outcome is expected
    assert expected is ALIGNED or "the first at step 7" in found.message


def test_a_trajectory_names_the_first_point_outside():
    reference = np.linspace(2.0, 1.0, 10)
    wrong = reference + 1e-9 * (np.arange(10) >= 6)
    assert "the first is update 6" in trajectory("it", candidate=wrong, reference=reference).message


def test_a_transposed_square_is_named():
    square = np.arange(9.0).reshape(3, 3)
    found = judge.exact("it", candidate=square.T, reference=square)
    [explained] = judge.conclude(1, "it", [found]).findings
    assert explained.hints == ("it is transposed: that explains every element",)


@given(npst.arrays(np.int64, (4, 3)), st.integers(0, 11), st.integers(1, 2**62))
def test_integers_are_equal_or_diverge(array, place, gap):
    wrong = array.copy()
    with np.errstate(over="ignore"):
        wrong.reshape(-1)[place] ^= gap
    assume(not np.array_equal(wrong, array))
    assert outcome(judge.exact, wrong, array) is DIVERGED
    assert outcome(judge.exact, array.copy(), array) is ALIGNED


@given(
    npst.arrays(bool, npst.array_shapes(min_dims=2, max_dims=2, min_side=1)),
    npst.array_shapes(min_dims=0, max_dims=2, min_side=1),
)
def test_padding_is_judged_apart_and_no_element_is_lost(mask, rest):
    array = np.arange(mask.size * int(np.prod(rest)), dtype=float).reshape(*mask.shape, *rest)
    parts = judge.split_by_mask(array, mask.astype(np.float32))
    assert sum(part.size for _, part in parts) == array.size
    assert len({x for _, part in parts for x in part.reshape(-1).tolist()}) == array.size


@pytest.mark.parametrize("shape", [(), (2,), (3, 2)], ids=str)
def test_what_does_not_run_over_positions_is_not_split(shape):
    [(label, part)] = judge.split_by_mask(np.ones(shape), np.zeros((2, 3)))
    assert (label, part.shape) == ("", shape)


def test_an_envelope_runs_on_and_ends_at_the_horizon():
    reference = np.ones(5)
    gaps = np.array([1e-6, 1e-4, 1e-5, 2e-3, 0.0])
    allowed, horizon = judge.envelope(
        reference, [reference + gaps, reference - gaps / 2], truth=reference
    )
    assert horizon == 3
    assert allowed[:3] == pytest.approx([1e-5, 1e-3, 1e-3])


def test_an_envelope_is_at_least_ten_ulps_wide():
    allowed, horizon = judge.envelope(np.full(3, 2.0), [np.full(3, 2.0)], np.full(3, 2.0))
    assert horizon == 3
    assert allowed == pytest.approx(10 * 2.0**-22)


def test_an_envelope_is_as_wide_as_the_reference_s_own_rounding_and_stays_so():
    reference, truth = np.ones(4), np.array([1.0, 1.0 + 1e-5])
    allowed, horizon = judge.envelope(reference, [reference], truth)
    assert horizon == 4
    assert allowed == pytest.approx([10 * 2.0**-23, 1e-4, 1e-4, 1e-4])


def test_a_nudged_run_that_breaks_down_ends_the_horizon():
    broken = np.array([1.0, 1.0, np.nan, 1.0])
    assert judge.envelope(np.ones(4), [np.ones(4), broken], np.ones(4))[1] == 2


def test_without_nudged_runs_nothing_can_be_judged():
    assert judge.envelope(np.ones(4), [], np.ones(4))[1] == 0


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        (1e-12, 1e-12, ALIGNED),
        (1e-12 * (1 + 1e-14), 1e-12, DIVERGED),
        (1, 1.0, ALIGNED),
        (float("nan"), float("nan"), DIVERGED),
        ("gelu", "gelu_tanh", DIVERGED),
        (None, 0, DIVERGED),
        ("1.0", 1.0, DIVERGED),
        ([1, 2], [1, 2], ALIGNED),
    ],
)
def test_facts_are_equal_or_diverge(candidate, reference, expected):
    [found] = judge.facts("m", candidate={"f": candidate}, reference={"f": reference}, what="fact")
    assert (found.name, found.outcome) == ("m.f", expected)


def test_a_fact_of_one_side_only_diverges():
    found = judge.facts("m", candidate={"a": 1}, reference={"b": 1}, what="setting")
    assert [(f.name, f.outcome, f.message) for f in found] == [
        ("m.b", DIVERGED, "the candidate has no such setting"),
        ("m.a", DIVERGED, "the reference has no such setting"),
    ]


GOOD = Finding("good", "exact", ALIGNED)
BAD = Finding("bad", "exact", DIVERGED, "it differs")
DOUBTFUL = judge.inconclusive("doubtful", "it is missing")


@pytest.mark.parametrize(
    ("findings", "expected", "reason"),
    [
        ([], INCONCLUSIVE, "nothing was compared"),
        ([GOOD, GOOD], ALIGNED, "2 comparisons within their limits"),
        ([GOOD, DOUBTFUL], INCONCLUSIVE, "doubtful: it is missing"),
        ([GOOD, DOUBTFUL, BAD], DIVERGED, "bad: it differs"),
    ],
    ids=["none", "good", "doubtful", "bad"],
)
def test_any_divergence_decides_then_any_doubt(findings, expected, reason):
    verdict = judge.conclude(1, "step", findings)
    assert (verdict.outcome, verdict.reason) == (expected, reason)


def test_what_names_the_place_best_gives_the_reason():
    verdict = judge.conclude(1, "step", [BAD, GOOD], blame=[replace(BAD, name="site")])
    assert verdict.reason == "site: it differs"


def test_blame_alone_makes_nothing_diverge():
    assert judge.conclude(1, "step", [GOOD], blame=[BAD]).outcome is ALIGNED


@pytest.mark.parametrize(
    ("candidate", "reference", "said"),
    [
        ((8,), (1, 8), "an axis of length 1 is gone"),
        ((1,), (), "there is an axis of length 1 more"),
        ((3, 5), (5, 3), "each other's transpose"),
    ],
)
def test_what_two_shapes_say_by_themselves_is_a_hint(candidate, reference, said):
    found = judge.exact("it", candidate=np.zeros(candidate), reference=np.zeros(reference))
    assert said in found.hints[0]


def test_shapes_of_other_sizes_have_no_hint():
    found = judge.exact("it", candidate=np.zeros((2, 8)), reference=np.zeros((1, 8)))
    assert found.hints == ()
