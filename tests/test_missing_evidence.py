"""Evidence that is missing, empty or worth nothing is never a pass: inconclusive, and says why."""

import importlib
import sys
import types

import pytest

from modelparity import Outcome, check
from modelparity.record import FUNCTIONS
from toy.recorded import record_both, record_side

# Which steps need a function of the candidate, and which more need it of the reference.
NEEDED = {
    "build_model": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
    "forward": {1, 6, 7, 10},
    "sample_batches": set(),
    "training_batches": {8},
    "evaluation_batches": {2},
    "evaluate": {3, 10},
    "build_optimizer": {4, 5, 6, 7, 10},
    "update": {4, 5, 6, 7, 10},
}
# The reference produces what both are given: batches, gradients, and weights that it has trained.
PRODUCED = {
    "forward": {3, 4},
    "sample_batches": {1, 4, 6, 7},
    "training_batches": {3, 5, 7, 10},
    "build_optimizer": {3},
    "update": {3},
}


@pytest.fixture
def variant(monkeypatch):
    """Makes a side out of the toy's: other functions, or None for one that it lacks."""

    def make(role, **changes):
        side = types.ModuleType(f"changed_{role}")
        toy = vars(importlib.import_module(f"toy.{role}"))
        side.__dict__.update({k: v for k, v in toy.items() if not k.startswith("__")})
        for name, function in changes.items():
            if function is None:
                side.__dict__.pop(name, None)
            else:
                setattr(side, name, function)
        monkeypatch.setitem(sys.modules, side.__name__, side)
        return side.__name__

    return make


def judged(recorded, out, role, module, **how):
    """The report where this module plays the role, against the toy's own other side."""
    if role == "reference":
        sides = record_both(out, reference=module, **how)
        return check(sides.reference, sides.candidate, **how)
    record_side("candidate", out, module=module, given=recorded.reference, **how)
    return check(recorded.reference, out, **how)


@pytest.mark.parametrize("role", ["reference", "candidate"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_steps_whose_function_is_missing_are_inconclusive_and_name_it(
    recorded, variant, tmp_path, role, function
):
    report = judged(recorded, tmp_path / "out", role, variant(role, **{function: None}))
    needed = NEEDED[function] | (PRODUCED.get(function, set()) if role == "reference" else set())
    doubtful = {v.number: v.reason for v in report.verdicts if v.outcome is Outcome.INCONCLUSIVE}
    assert doubtful == dict.fromkeys(needed, f"the {role} side offers no {function}()")
    assert report.outcome is (Outcome.INCONCLUSIVE if needed else Outcome.ALIGNED)


NOTHING = {
    "sample_batches": lambda _settings: [],
    "training_batches": lambda _settings, _epoch: iter(()),
    "evaluation_batches": lambda _settings, _split: iter(()),
    "evaluate": lambda _model, _settings, _split: {},
}


@pytest.mark.parametrize(
    ("function", "step"),
    [("sample_batches", 1), ("evaluation_batches", 2), ("evaluate", 3), ("training_batches", 8)],
)
def test_an_empty_comparison_is_inconclusive(variant, tmp_path, function, step):
    sides = [variant(role, **{function: NOTHING[function]}) for role in ("reference", "candidate")]
    both = record_both(tmp_path, reference=sides[0], candidate=sides[1], steps=(step,))
    [verdict] = check(both.reference, both.candidate, steps=(step,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nothing" in verdict.reason or "no " in verdict.reason


@pytest.mark.parametrize("function", ["evaluation_batches", "evaluate", "training_batches"])
def test_a_candidate_that_yields_nothing_diverges(recorded, variant, tmp_path, function):
    module = variant("candidate", **{function: NOTHING[function]})
    step = {"evaluation_batches": 2, "evaluate": 3, "training_batches": 8}[function]
    report = judged(recorded, tmp_path / "out", "candidate", module, steps=(step,))
    assert report.verdicts[0].outcome is Outcome.DIVERGED


EVALUATING = """
from toy import {role}
from toy.{role} import *

def evaluate(model, settings, split):
    return {{**{role}.evaluate(model, settings, split), {changed}}}
"""


def scored(side, out, changed):
    """The third step of two sides whose evaluation returns something else."""
    modules = [
        side(f"scored_{role}", EVALUATING.format(role=role, changed=changed))
        for role in ("reference", "candidate")
    ]
    both = record_both(out, reference=modules[0], candidate=modules[1], steps=(3,))
    [verdict] = check(both.reference, both.candidate, steps=(3,)).verdicts
    return verdict


@pytest.mark.parametrize("score", ["0.0", "1.0"])
def test_a_perfect_or_hopeless_score_proves_nothing(side, tmp_path, score):
    verdict = scored(side, tmp_path / "out", f"'accuracy': {score}")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert f"the reference scores {float(score):g}, which proves nothing" in verdict.reason


def test_nan_on_both_sides_is_not_a_pass(side, tmp_path):
    verdict = scored(side, tmp_path / "out", "'loss': float('nan')")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "NaN" in verdict.reason


def test_a_function_that_both_sides_run_proves_nothing(recorded, variant, tmp_path):
    from toy import reference

    module = variant("candidate", evaluation_batches=reference.evaluation_batches)
    report = judged(recorded, tmp_path / "out", "candidate", module, steps=(2, 8))
    outcomes = {v.number: v.outcome for v in report.verdicts}
    assert outcomes == {2: Outcome.INCONCLUSIVE, 8: Outcome.ALIGNED}
    assert report.verdicts[0].reason.startswith("shared code: both sides run toy.reference:")


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"seed": 4}, "settings.seed"), ({"learning_rate": 0.02}, "settings.learning_rate")],
)
def test_recordings_of_other_settings_are_not_judged(recorded, tmp_path, changes, field):
    other = record_both(tmp_path, steps=(2,), **{k: str(v) for k, v in changes.items()})
    [verdict] = check(recorded.reference, other.candidate, steps=(2,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith(f"manifest field {field}: ")


def test_recordings_of_other_data_are_not_judged(recorded, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "dev", "test"):
        (data / f"{split}.txt").write_text("1 2 3\n0 4\n" * 20)
    other = record_both(tmp_path / "out", steps=(2,), data=str(data))
    [verdict] = check(recorded.reference, other.candidate, steps=(2,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith("manifest field inputs.data: ")


def test_a_side_that_was_given_another_recording_is_not_judged(recorded, side, tmp_path):
    source = "from toy import reference as toy\nfrom toy.reference import *\n"
    source += "def sample_batches(settings): return list(toy.sample_batches(settings))[:1]\n"
    other = record_both(tmp_path / "out", reference=side("fewer", source), steps=(4,))
    report = check(recorded.reference, other.candidate, steps=(4,))
    assert report.verdicts[0].outcome is Outcome.INCONCLUSIVE
    assert report.verdicts[0].reason.startswith("candidate manifest field given.")


def test_a_step_that_was_not_recorded_is_not_judged(tmp_path):
    other = record_both(tmp_path, steps=(2,))
    report = check(other.reference, other.candidate, steps=(2, 8))
    assert report.verdicts[1].outcome is Outcome.INCONCLUSIVE
    assert "training_data: there is no manifest.json" in report.verdicts[1].reason
