"""Parameters that exist on one side only: findings, unless the case says why."""

from dataclasses import replace

import pytest

from modelparity import Outcome, check
from modelparity.cases import load_case
from modelparity.record import record

STEPS = (1, 4, 5, 6, 7, 9)  # those that compare parameters, or arrays by their names
SIDE = """
import numpy as np
from toy import candidate, framework
from toy.candidate import *

class Unused(framework.Module):
    def __init__(self):
        super().__init__()
        self.params = {"kernel": np.ones((2, 2), np.float32)}

def build_model(settings):
    model = candidate.build_model(settings)
    model.children["unused"] = Unused()
    return model
"""


TOO_FAST = """
from toy import candidate
from toy.candidate import *

def build_optimizer(model, settings, updates):
    return candidate.build_optimizer(model, {**settings, "learning_rate": 0.02}, updates)
"""

FROZEN = """
from toy import candidate
from toy.candidate import *

def forward(model, batch):
    outputs = candidate.forward(model, batch)
    backward = outputs["loss"].backward

    def without_one():
        backward()
        model.mixer.grads.pop("bias")

    outputs["loss"].backward = without_one
    return outputs
"""


@pytest.fixture
def judged(tmp_path, monkeypatch):
    (tmp_path / "port_with_more.py").write_text(SIDE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def judge(unpaired, steps=STEPS):
        case = replace(load_case("toy"), unpaired=unpaired)
        sides = tmp_path / "reference", tmp_path / "candidate"
        how = {"steps": steps, "changes": {}}
        record(case, "reference", "toy.reference", sides[0], given=None, **how)
        record(case, "candidate", "port_with_more", sides[1], given=sides[0], **how)
        return check(*sides, steps=steps)

    return judge


def test_a_parameter_without_a_partner_is_a_finding_in_every_step_that_names_it(judged):
    outcomes = {v.number: v.outcome for v in judged({}).verdicts}
    assert outcomes == dict.fromkeys(STEPS, Outcome.DIVERGED)


def test_a_parameter_that_the_case_calls_unpaired_is_no_finding(judged):
    assert judged({"unused.{name}": "nothing reads it"}).outcome is Outcome.ALIGNED


def test_an_unpaired_parameter_is_noted_with_its_reason(judged):
    [verdict] = judged({"unused.{name}": "nothing reads it"}, steps=(1,)).verdicts
    assert "unused.kernel faces nobody: nothing reads it" in verdict.notes


def test_unpaired_excuses_no_other_name(judged):
    report = judged({"another.{name}": "nothing reads it"}, steps=(1,))
    assert report.outcome is Outcome.DIVERGED


@pytest.mark.parametrize(
    ("source", "step"), [(TOO_FAST, 5), (FROZEN, 7)], ids=["another rate", "a missing gradient"]
)
def test_unpaired_excuses_nothing_of_parameters_that_face_each_other(
    source, step, tmp_path, monkeypatch
):
    module = f"port_for_step_{step}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    case = replace(load_case("toy"), unpaired={"{path*}": "everything"})
    sides = tmp_path / "reference", tmp_path / "candidate"
    how = {"steps": (step,), "changes": {}}
    record(case, "reference", "toy.reference", sides[0], given=None, **how)
    record(case, "candidate", module, sides[1], given=sides[0], **how)
    [verdict] = check(*sides, steps=(step,)).verdicts
    assert verdict.outcome is Outcome.DIVERGED
    if step == 7:
        assert any(f.message == "the candidate has no such array" for f in verdict.findings)
