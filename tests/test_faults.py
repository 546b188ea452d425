"""Every wrong port of the toy is caught by its own step, and none is caught by an earlier one."""

import pytest

from modelparity import Outcome, check
from modelparity.check import ALL_STEPS
from modelparity.steps import STEPS
from toy.faults import FAULTS
from toy.recorded import record_side

WRONG = [fault for fault in FAULTS if not fault.equivalent]
EQUIVALENT = [fault for fault in FAULTS if fault.equivalent]


def judged(recorded, fault, out, steps):
    candidate = record_side("candidate", out, given=recorded.reference, steps=steps, fault=fault)
    return check(recorded.reference, candidate, steps=steps, fault=fault.name)


@pytest.mark.parametrize("fault", WRONG, ids=lambda fault: fault.name)
def test_a_fault_is_first_caught_by_its_own_step_which_names_its_site(recorded, tmp_path, fault):
    steps = tuple(range(1, fault.step + 1))
    report = judged(recorded, fault, tmp_path / "candidate", steps)
    outcomes = {v.number: v.outcome for v in report.verdicts}
    expected = dict.fromkeys(steps, Outcome.ALIGNED) | {fault.step: Outcome.DIVERGED}
    assert outcomes == expected, [v.reason for v in report.verdicts]
    assert fault.site in report.verdicts[-1].reason


@pytest.mark.parametrize("fault", EQUIVALENT, ids=lambda fault: fault.name)
def test_an_equivalent_fault_leaves_every_step_aligned(recorded, tmp_path, fault):
    report = judged(recorded, fault, tmp_path / "candidate", ALL_STEPS)
    assert [v.outcome for v in report.verdicts] == [Outcome.ALIGNED] * len(ALL_STEPS)


def test_every_step_has_two_faults():
    for step in STEPS:
        assert sum(fault.step == step.NUMBER for fault in WRONG) >= 2, step.NAME


def test_a_later_red_step_says_which_earlier_one_it_may_follow_from(recorded, tmp_path):
    [fault] = [fault for fault in FAULTS if fault.name == "transposed"]
    report = judged(recorded, fault, tmp_path / "candidate", (1, 3))
    assert report.verdicts[1].notes[0] == "may follow from step 1: mend that first"
