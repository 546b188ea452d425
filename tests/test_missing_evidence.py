"""Evidence that is missing, empty or worth nothing is never a pass: inconclusive, and says why."""

import importlib
import shutil
import sys
import types
from dataclasses import replace

import pytest

from modelparity import Outcome, check
from modelparity.cases import load_case
from modelparity.sides import FUNCTIONS
from toy import reference as toy_reference
from toy.recorded import record_both, record_side

# Which steps need a function of the candidate, and which more need it of the reference.
NEEDED = {
    "build_model": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
    "forward": {1, 6, 7, 10},
    "sample_batches": set(),
    "vocabularies": set(),
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


# Written out for each side: a function that both ran would be shared code.
EMPTIED = """
from toy import {role} as toy
from toy.{role} import *

def {function}(*arguments):
    return {nothing} if {when} else toy.{function}(*arguments)
"""


def emptied(side, function, nothing, when="True"):
    """Both sides, where one function comes back with nothing."""
    written = {"function": function, "nothing": nothing, "when": when}
    return {
        role: side(f"emptied_{role}", EMPTIED.format(role=role, **written))
        for role in ("reference", "candidate")
    }


@pytest.mark.parametrize(
    ("function", "nothing", "step", "said"),
    [
        ("sample_batches", "()", 1, "no batch was recorded"),
        ("evaluation_batches", "()", 2, "nothing was compared"),
        ("evaluate", "{}", 3, "nothing was compared"),
        ("training_batches", "()", 8, "nothing was compared"),
    ],
)
def test_an_empty_comparison_is_inconclusive(side, tmp_path, function, nothing, step, said):
    both = record_both(tmp_path / "out", **emptied(side, function, nothing), steps=(step,))
    [verdict] = check(both.reference, both.candidate, steps=(step,)).verdicts
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, said)


@pytest.mark.parametrize(
    ("function", "nothing", "step", "place"),
    [
        ("evaluation_batches", "()", 2, "test"),
        ("evaluation_batches", "({}, {})", 2, "test"),
        ("evaluate", "{}", 3, "test"),
        ("training_batches", "()", 8, 1),
        ("training_batches", "({}, {})", 8, 1),
    ],
)
def test_an_empty_part_is_inconclusive_and_named(side, tmp_path, function, nothing, step, place):
    modules = emptied(side, function, nothing, when=f"arguments[-1] == {place!r}")
    both = record_both(tmp_path / "out", **modules, steps=(step,))
    [verdict] = check(both.reference, both.candidate, steps=(step,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith({2: "test", 3: "test", 8: "epoch 1"}[step])


def test_settings_under_which_there_are_no_samples_are_inconclusive(variant, tmp_path):
    def only_long(settings):
        return toy_reference.sample_batches(settings) if settings["longest"] == 6 else ()

    module = variant("reference", sample_batches=only_long)
    both = record_both(tmp_path, reference=module, steps=(1,))
    [verdict] = check(both.reference, both.candidate, steps=(1,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "longest=3" in verdict.reason


BARE = """
import numpy as np
from toy import framework
from toy.{role} import *

class Bare(framework.Module):
    def forward(self, mask):
        return mask.sum(axis=1) {how}

def build_model(settings):
    return Bare()

def forward(model, batch):
    return {{"loss": framework.Loss(model(batch["mask"]).mean())}}
"""


@pytest.mark.parametrize("step", [1, 4, 6, 7, 9])
def test_models_without_parameters_are_inconclusive(side, tmp_path, step):
    modules = [
        side(f"bare_{role}", BARE.format(role=role, how=how))
        for role, how in (("reference", "* 2.0"), ("candidate", "/ 0.5"))
    ]
    both = record_both(tmp_path, reference=modules[0], candidate=modules[1], steps=(step,))
    [verdict] = check(both.reference, both.candidate, steps=(step,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("function", "nothing", "step"),
    [("evaluation_batches", "()", 2), ("evaluate", "{}", 3), ("training_batches", "()", 8)],
)
def test_a_candidate_that_yields_nothing_diverges(
    recorded, side, tmp_path, function, nothing, step
):
    module = emptied(side, function, nothing)["candidate"]
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


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "another"}, "case"),
        ({"mask": "ids"}, "terms.mask"),
        ({"unpaired": {"norm.{name}": "why not"}}, "terms.unpaired"),
        ({"splits": ("test",)}, "terms.splits"),
        ({"rules": ()}, "terms.rules"),
        ({"variants": {}}, "terms.variants"),
        ({"shared": ("toy",)}, "terms.shared"),
    ],
)
def test_a_recording_of_another_case_is_not_judged(recorded, tmp_path, changes, field):
    case = replace(load_case("toy"), **changes)
    other = record_side("candidate", tmp_path / "out", given=recorded.reference, case=case)
    for verdict in check(recorded.reference, other).verdicts:
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.reason.startswith(f"manifest field {field}: ")


def test_a_candidate_that_was_given_nothing_is_not_judged(recorded, tmp_path):
    alone = record_side("candidate", tmp_path / "out")
    for verdict in check(recorded.reference, alone).verdicts:
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert "there is no manifest.json" in verdict.reason


@pytest.mark.parametrize("role", ["reference", "candidate"])
def test_a_side_is_not_judged_against_itself(recorded, role):
    directory = getattr(recorded, role)
    other = {"reference": "candidate", "candidate": "reference"}[role]
    for verdict in check(directory, directory).verdicts:
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert (
            verdict.reason == f"{other} manifest field side: it is a recording of the {role} side"
        )


def test_a_recording_of_another_step_is_not_judged(recorded, tmp_path):
    mixed = recorded.copy(tmp_path)
    shutil.rmtree(mixed.candidate / "evaluation_data")
    shutil.copytree(mixed.candidate / "training_data", mixed.candidate / "evaluation_data")
    [verdict] = check(mixed.reference, mixed.candidate, steps=(2,)).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith("candidate manifest field step: ")


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
