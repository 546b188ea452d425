"""Which tensor faces which, and tensors that are laid out the other way round."""

import numpy as np
import pytest
from compare_holding import compared, held, only

from modelparity.compare import read
from modelparity.compare.names import face, renaming
from modelparity.compare.sweep import CHUNK
from modelparity.compare.tolerances import override
from modelparity.errors import UsageError
from modelparity.formats import Tensor
from modelparity.model import Outcome


def test_rules_rename_what_they_match_and_say_how_much_that_was():
    rule = "encoder.{layer}.w -> enc.{layer}.weight"
    names = face(
        ["encoder.0.w", "encoder.1.w", "x"], ["enc.0.weight", "enc.1.weight", "x"], rename=[rule]
    )
    assert [(f.reference, f.candidate, f.rule) for f in names.facing] == [
        ("encoder.0.w", "enc.0.weight", rule),
        ("encoder.1.w", "enc.1.weight", rule),
        ("x", "x", ""),
    ]
    assert names.matched == {f"--rename {rule}": 2}


def test_a_rule_that_matches_nothing_is_noted():
    x = np.ones(2)
    found = compared({"a": x}, {"a": x}, rename=["b -> c"], transpose=["{x*}.weight"])
    assert found.notes == (
        "--rename b -> c matched no tensor",
        "--transpose {x*}.weight matched no tensor",
    )


@pytest.mark.parametrize("text", ["", "a", "a ->", "-> b", "a -> b -> c"])
def test_a_rule_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match="expected 'REFERENCE -> CANDIDATE'"):
        renaming(text)


@pytest.mark.parametrize(
    "text", ["", "a:", ": rms=1", "rms", "rms=x", "rms=-1", "rms=nan", "rms=1, rtol=1", "a: b=1"]
)
def test_a_tolerance_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match="--tolerance"):
        override(text)


@pytest.mark.parametrize(
    "shape", [(3, 5), (1, 7), (2, 3, 4), (300, 500), (3, 257, 129), (70_000, 3), (2, 90_001)]
)
def test_a_transposed_tensor_is_compared_as_it_was_meant(shape, monkeypatch):
    monkeypatch.setattr(read, "BLOCK", 100_000)  # bytes: several blocks
    r = np.random.default_rng(0).standard_normal(shape)
    c = r.swapaxes(-1, -2).copy()
    assert only({"w": c}, {"w": r}, transpose=["w"]).finding.outcome is Outcome.ALIGNED
    place = tuple(n - 1 for n in c.shape)
    c[place] += 9.0
    assert only({"w": c}, {"w": r}, transpose=["w"]).figures.worst == place


def test_a_transpose_that_was_forgotten_is_suggested():
    r = np.ones((2, 3))
    [hint] = only({"w": r.T}, {"w": r}).finding.hints
    assert "--transpose 'w'" in hint


@pytest.mark.parametrize("shape", [(), (5,)])
def test_transposing_what_has_no_two_axes_changes_nothing(shape):
    r = np.ones(shape)
    assert only({"w": r}, {"w": r}, transpose=["w"]).finding.outcome is Outcome.ALIGNED


def test_parts_begin_where_they_should():
    size = 2 * read.PART + 5
    tensor = held(np.arange(size, dtype=np.int32))["array"]
    assert read.parts(tensor) == 3
    flat = np.concatenate(list(read.chunks(tensor, 1, 3)))
    assert (flat[0], flat[-1], flat.size) == (read.PART, size - 1, size - read.PART)
    assert {c.size for c in read.chunks(tensor, 0, 2)} == {CHUNK}


def test_a_tensor_that_holds_less_than_it_promises_is_refused():
    from modelparity.errors import InputError

    short = Tensor("float64", (10,), lambda _: iter([np.ones(9)]))
    whole = Tensor("float64", (10,), lambda _: iter([np.ones(10)]))
    from modelparity.compare import compare

    with pytest.raises(InputError, match="less than its header promises"):
        compare(reference={"a": whole}, candidate={"a": short})
