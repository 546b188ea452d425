"""Pairing loses no name, and layouts go there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelparity.errors import UsageError
from modelparity.layout import rename, to_candidate, to_reference
from modelparity.model import Rule
from modelparity.pairing import (
    BY_VALUES,
    Pairing,
    by_values,
    matches,
    module_rules,
    pair,
)

PART = st.sampled_from(["a", "b", "w", "bias", "0", "1", "norm"])
NAMES = st.lists(st.lists(PART, min_size=1, max_size=3).map(".".join), unique=True, max_size=8)
TEMPLATE = st.sampled_from(["a", "{x}", "{x}.w", "{x*}.w", "b.{x}", "{x*}", "{x}.{y}", "norm.bias"])
RULES = st.lists(
    st.one_of(
        st.builds(Rule, TEMPLATE, st.sampled_from(["{x}", "{x}.k", "k", "b"]), st.booleans()),
        st.builds(Rule, st.just(("{x}.w", "{x}.bias")), st.just("{x}.k")),
        st.builds(Rule, st.just("{x}.w"), st.just(("{x}.a", "{x}.b"))),
    ).filter(lambda rule: "x" in str(rule.reference) or "x" not in str(rule.candidate)),
    max_size=4,
)


def both(pairs: Pairing, side: str) -> list[str]:
    return [name for p in pairs.pairs for name in getattr(p, side)]


@given(NAMES, NAMES, RULES)
def test_no_name_is_lost_or_used_twice(reference, candidate, rules):
    pairs = pair(reference, candidate, rules)
    assert sorted([*both(pairs, "reference"), *pairs.reference_only]) == sorted(reference)
    assert sorted([*both(pairs, "candidate"), *pairs.candidate_only]) == sorted(candidate)


@given(NAMES, RULES)
def test_equal_names_never_stay_alone_on_both_sides(names, rules):
    pairs = pair(names, names, rules)
    assert not set(pairs.reference_only) & set(pairs.candidate_only)


@given(NAMES)
def test_without_rules_equal_names_face_each_other_and_nothing_else(names):
    pairs = pair(names, [*names[1:], "other"], [])
    assert [(p.reference, p.candidate) for p in pairs.pairs] == [((n,), (n,)) for n in names[1:]]
    assert pairs.reference_only == tuple(names[:1])
    assert pairs.candidate_only == ("other",)


def test_names_alone_are_never_paired_by_position():
    pairs = pair(["a", "b"], ["c", "d"], [])
    assert (pairs.pairs, pairs.reference_only) == ((), ("a", "b"))


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        ("bn.running_mean", "bn._mean"),
        ("norm.gamma", "norm.weight"),
        ("encoder.LayerNorm.bias", "encoder.layer_norm.bias"),
        ("module.head.weight", "head.weight"),
    ],
)
def test_another_spelling_of_a_name_faces_it(reference, candidate):
    [found] = pair([reference, "other"], [candidate], []).pairs
    assert (found.reference, found.candidate) == ((reference,), (candidate,))
    assert found.by == "normalised name"


def test_spellings_that_could_mean_two_names_pair_nothing():
    assert pair(["n.gamma", "n.scale"], ["n.weight"], []).pairs == ()


def test_what_is_left_is_paired_by_shape_and_order_where_all_of_it_fits():
    reference = {"a.w": (2, 3), "a.b": (3,), "c.w": (3, 3)}
    candidate = {"x.0": (2, 3), "x.1": (3,), "y.0": (3, 3)}
    found = pair(reference, candidate, [])
    assert [(p.reference[0], p.candidate[0]) for p in found.pairs] == list(
        zip(reference, candidate, strict=True)
    )
    assert {p.by for p in found.pairs} == {"shape and order"}
    assert pair(reference, {**candidate, "z": (1,)}, []).pairs == ()
    assert pair(reference, {**candidate, "y.0": (9,)}, []).pairs == ()


def test_an_earlier_rule_wins():
    rules = [Rule("x.weight", "y.first"), Rule("{name}.weight", "y.second")]
    [found] = pair(["x.weight"], ["y.first", "y.second"], rules).pairs
    assert found.candidate == ("y.first",)


def test_a_rule_comes_before_equal_names():
    [found] = pair(["a"], ["a", "b"], [Rule("a", "b")]).pairs
    assert found.candidate == ("b",)


def test_a_rule_that_finds_only_one_side_uses_no_name():
    pairs = pair(["a.w", "a.b"], ["a.w"], [Rule(("a.w", "a.b"), "a.k")])
    assert [p.reference for p in pairs.pairs] == [("a.w",)]


@pytest.mark.parametrize(
    ("template", "name", "fits"),
    [
        ("{layer}.weight", "a.weight", True),
        ("{layer}.weight", "a.b.weight", False),
        ("{path*}.weight", "a.b.weight", True),
        ("{path*}.weight", "weight", False),
        ("a.{n}.b.{m}", "a.0.b.1", True),
        ("a+b", "aab", False),
        ("a.b", "axb", False),
        ("{norm*}.scale", "norm.0.scale", True),
        ("x", "x.y", False),
    ],
)
def test_a_template_fits_whole_dotted_parts(template, name, fits):
    assert matches(template, name) is fits


def test_several_names_on_both_sides_are_refused():
    with pytest.raises(UsageError, match="one side must be one name"):
        pair(["a"], ["b"], [Rule(("a", "b"), ("c", "d"))])


def test_a_placeholder_that_nothing_binds_is_refused():
    with pytest.raises(UsageError, match=r"nothing binds \{other\}"):
        pair(["a"], ["b"], [Rule("{name}", "{other}")])


def test_a_placeholder_that_stands_twice_is_refused():
    with pytest.raises(UsageError, match=r"rule '\{a\}\.\{a\}'"):
        pair(["a.a"], ["b"], [Rule("{a}.{a}", "{a}")])


def shapes(arrays):
    return {name: array.shape for name, array in arrays.items()}


def there_and_back(rules, reference, candidate_shapes):
    pairs = pair(reference, candidate_shapes, rules)
    there = to_candidate(pairs, reference, candidate_shapes)
    assert shapes(there) == candidate_shapes
    return there, to_reference(pairs, there, shapes(reference))


@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    width=st.integers(1, 4),
    axis=st.sampled_from([0, 1]),
    transpose=st.booleans(),
    joined=st.booleans(),
)
def test_splitting_joining_and_transposing_invert_each_other(sizes, width, axis, transpose, joined):
    rng = np.random.default_rng(0)
    laid = [(size, width) if axis == 0 else (width, size) for size in sizes]
    names = tuple(f"part.{i}" for i in range(len(sizes)))
    total = (sum(sizes), width) if axis == 0 else (width, sum(sizes))

    def original(shape):
        return rng.normal(size=shape[::-1] if transpose else shape)

    if joined:  # several of the reference face one of the candidate
        reference = {n: original(s) for n, s in zip(names, laid, strict=True)}
        rule, there = Rule(names, "whole", transpose, axis), {"whole": total}
    else:
        reference = {"whole": original(total)}
        rule, there = Rule("whole", names, transpose, axis), dict(zip(names, laid, strict=True))
    moved, back = there_and_back([rule], reference, there)
    assert back.keys() == reference.keys()
    assert all(np.array_equal(back[name], reference[name]) for name in reference)
    assert flat(moved) == flat(reference)


def flat(arrays):
    return sorted(value for array in arrays.values() for value in array.reshape(-1).tolist())


def test_a_transpose_swaps_the_last_two_axes():
    reference = {"w": np.arange(24.0).reshape(2, 3, 4), "b": np.arange(3.0)}
    rules = [Rule("{name}", "{name}", transpose=True)]
    moved, back = there_and_back(rules, reference, {"w": (2, 4, 3), "b": (3,)})
    assert np.array_equal(moved["w"], reference["w"].swapaxes(1, 2))
    assert np.array_equal(moved["b"], reference["b"])
    assert np.array_equal(back["w"], reference["w"])


def test_parts_are_joined_in_the_order_of_the_rule():
    reference = {"k": np.array([2.0]), "q": np.array([1.0]), "v": np.array([3.0])}
    moved, _ = there_and_back([Rule(("q", "k", "v"), "qkv")], reference, {"qkv": (3,)})
    assert moved["qkv"].tolist() == [1.0, 2.0, 3.0]


def test_nothing_is_transposed_that_no_rule_names():
    reference = {"w": np.zeros((2, 3))}
    moved = to_candidate(pair(reference, ["w"], []), reference, {"w": (3, 2)})
    assert moved["w"].shape == (2, 3)


def test_arrays_that_do_not_fit_together_are_left_for_the_comparison():
    pairs = pair(["q", "k"], ["qk"], [Rule(("q", "k"), "qk")])
    misfits = {"q": np.zeros((2, 2)), "k": np.zeros((2, 3))}
    assert to_candidate(pairs, misfits, {"qk": (4, 2)}) == {}
    back = to_reference(pairs, {"qk": np.zeros((5, 2))}, {"q": (2, 2), "k": (2, 2)})
    assert list(back) == ["qk"]


def test_vectors_cannot_be_cut_along_a_second_axis():
    vectors = {"qk": np.zeros(4)}, {"q": (2,), "k": (2,)}
    pairs = pair(["qk"], ["q", "k"], [Rule("qk", ("q", "k"), axis=1)])
    assert to_candidate(pairs, *vectors) == {}
    pairs = pair(["q", "k"], ["qk"], [Rule(("q", "k"), "qk", axis=1)])
    assert list(to_reference(pairs, *vectors)) == ["qk"]


def test_an_array_that_faces_nobody_keeps_its_name():
    pairs = pair(["a"], ["b", "alone"], [Rule("a", "b")])
    back = to_reference(pairs, {"b": np.ones(1), "alone": np.zeros(2)}, {"a": (1,)})
    assert list(back) == ["a", "alone"]


def test_one_value_a_parameter_takes_the_names_of_the_reference():
    pairs = pair(["left", "right", "x"], ["both", "y"], [Rule(("left", "right"), "both")])
    values = rename(pairs, {"both": 0.1, "y": 0.2})
    assert values == {"left": 0.1, "right": 0.1, "y": 0.2}


def test_values_that_do_not_agree_keep_the_names_of_the_candidate():
    pairs = pair(["both"], ["left", "right"], [Rule("both", ("left", "right"))])
    assert rename(pairs, {"left": 0.1, "right": 0.1}) == {"both": 0.1}
    assert rename(pairs, {"left": 0.1, "right": 0.2}) == {"left": 0.1, "right": 0.2}


def test_modules_are_renamed_as_their_parameters_are():
    rules = module_rules([Rule("{norm*}.weight", "layers.{norm*}.scale"), Rule("a", "b")])
    pairs = pair(["enc.0.norm", "a"], ["layers.enc.0.norm", "b"], rules)
    assert (pairs.reference_only, pairs.candidate_only) == ((), ())


def test_fused_parameters_name_no_module():
    assert module_rules([Rule(("q.weight", "k.weight"), "qk.weight")]) == ()


def test_the_same_numbers_under_other_names_face_each_other_however_they_lie():
    square, long, vector = (np.random.default_rng(0).normal(size=s) for s in ((4, 4), (3, 5), (6,)))
    ours = {"a.w": square, "b.w": long, "c.bias": vector}
    theirs = {"x": vector.copy(), "y": square.T.copy(), "z": long.copy()}
    found = {p.candidate[0]: (p.reference[0], p.transpose) for p in by_values(ours, theirs)}
    assert found == {"x": ("c.bias", False), "y": ("a.w", True), "z": ("b.w", False)}


def test_numbers_that_stand_twice_or_are_all_alike_pair_nothing():
    twice = np.arange(4.0)
    ours = {"a": twice, "b": twice.copy(), "c": np.ones(3)}
    assert by_values(ours, {"x": twice.copy(), "y": np.ones(3)}) == ()


def test_values_come_before_shapes_and_order():
    first, second = (np.random.default_rng(seed).normal(size=(2, 3)) for seed in (1, 2))
    ours, theirs = {"a": first, "b": second}, {"x": second.copy(), "y": first.copy()}
    shapes = ({n: a.shape for n, a in side.items()} for side in (ours, theirs))
    pairs = pair(*shapes, (), by_values(ours, theirs)).pairs
    assert {p.reference + p.candidate for p in pairs} == {("a", "y"), ("b", "x")}
    assert {p.by for p in pairs} == {BY_VALUES}
