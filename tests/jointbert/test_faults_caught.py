"""Faults planted in the port, each in its own process: their step is red, and none it leans on.

One a step here; `make bench-faults` tries them all, on all ten steps.
"""

import importlib.util

import pytest

from jointbert.faults import FAULTS, published
from modelparity import Outcome, check
from modelparity.check import ALL_STEPS
from modelparity.run import SideOrder, record_side
from modelparity.steps import LEANS_ON

pytestmark = pytest.mark.slow

FRAMEWORKS = ("torch", "paddle")
# The last of each step's list: its tiniest are there.
PLANTED = {fault.step: fault for fault in FAULTS if not fault.equivalent}


def record(order):
    record_side(order, lambda _text, _done, _total: None)
    return order.out


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    for name in FRAMEWORKS:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    out = tmp_path_factory.mktemp("planted") / "reference"
    return record(SideOrder("jointbert", "reference", out, ALL_STEPS))


@pytest.mark.parametrize("step", ALL_STEPS)
def test_a_planted_fault_is_caught_by_its_own_step_first(reference, tmp_path, step):
    fault, steps = PLANTED[step], (*LEANS_ON.get(step, ()), step)
    order = SideOrder(
        "jointbert", "candidate", tmp_path / "out", steps, given=reference, fault=fault.name
    )
    report = check(reference, record(order), steps=steps)
    expected = dict.fromkeys(steps, Outcome.ALIGNED) | {step: Outcome.DIVERGED}
    assert {v.number: v.outcome for v in report.verdicts if v.number in steps} == expected


def test_every_part_of_the_published_port_is_reported_by_its_own_step(reference, tmp_path):
    [fault] = published.FAULTS
    steps = tuple(sorted({part.step for part in published.PARTS}))
    order = SideOrder(
        "jointbert", "candidate", tmp_path / "out", steps, given=reference, fault=fault.name
    )
    report = check(reference, record(order), steps=steps)
    found = {v.number: v for v in report.verdicts if v.outcome is Outcome.DIVERGED}
    assert tuple(found) == steps
    for part in published.PARTS:
        diverged = [f for f in found[part.step].findings if f.outcome is Outcome.DIVERGED]
        assert any(part.site in f"{f.name}: {f.message}" for f in diverged), part.name
