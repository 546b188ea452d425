"""A red step's first two hints say what is wrong, not only where."""

from dataclasses import replace

import pytest

from jointbert.faults.planting import composed
from modelparity import Outcome, check
from modelparity.report.ladder import offenders
from toy.faults import FAULTS
from toy.recorded import record_side

SAID = {
    "norm-eps": "with eps 1e-08 in place of eps 1e-12: the gap falls",
    "transposed": "with the weight transposed",
    "loss-of-one": "it is the first sentence's mean",
    "last-batch-missing": "1 of 33 rows are missing, the last",
    "truncated-early": "they end early, at 5 in place of 6",
    "sorted-predictions": "elements are permuted",
    "eps-inside-root": "added under the root",
    "descent": "plain gradient descent: that explains",
    "one-ahead": "every rate comes one update too early",
    "decay-all": "decay on the candidate",
    "decay-coupled": "the decay is added to the gradient",
    "dropout-rate": "rate is 0.2 at 1 of 1 sites",
    "same-order": "the candidate's order is the same as that of epoch.0/",
    "drawn-bias": "; the reference has 0 everywhere",
    "stored": "the candidate has the same values at every seed: a seed of its own, or stored",
    "short-epoch": "1 of 97 rows are missing, the last",
    "forgotten-moments": "starts without moments and count, as with a new optimizer",
}
# By step 10 alone: the step that shows it best, and the cause.
ALONE = {
    "adam-eps": ("step 4", "eps 1e-06 in place of 1e-08"),
    "eps-inside-root": ("step 4", "eps squared is added under the root"),
    "one-ahead": ("step 5", "every rate comes one update too early"),
    "clip-each": ("step 6", "every gradient is clipped by its own norm first, then all"),
    "decay-all": ("step 6", "decay on the candidate"),
    "decay-coupled": ("step 6", "the decay is added to the gradient"),
    "dropout-rate": ("step 6", "rate is 0.2 at 1 of 1 sites"),
    "undropped-gradient": ("step 7", "the gradients of"),
    "frozen": ("step 7", "embedding.weight is updated 0 times on the candidate"),
}


@pytest.mark.parametrize("name", SAID)
def test_the_cause_is_named(recorded, tmp_path, name):
    [fault] = [fault for fault in FAULTS if fault.name == name]
    candidate = record_side(
        "candidate", tmp_path / "candidate", given=recorded.reference, fault=fault
    )
    [verdict] = check(recorded.reference, candidate, steps=(fault.step,)).verdicts
    assert verdict.outcome is Outcome.DIVERGED
    hints = offenders(verdict)[0].hints
    assert any(SAID[name] in hint for hint in hints[:2]), hints


@pytest.mark.parametrize("name", ALONE)
def test_step_10_alone_names_the_update_the_step_and_the_cause(recorded, tmp_path, name):
    [fault] = [fault for fault in FAULTS if fault.name == name]
    out = tmp_path / "candidate"
    candidate = record_side("candidate", out, given=recorded.reference, fault=fault, steps=(10,))
    [verdict] = check(recorded.reference, candidate, steps=(10,)).verdicts
    assert verdict.outcome is Outcome.DIVERGED
    hints = offenders(verdict)[0].hints
    assert any("parts them" in hint or "is updated" in hint for hint in hints), hints
    assert all(any(said in hint for hint in hints) for said in ALONE[name]), hints


# Behind one that parts the trainings at once: the place and what is said of it.
LATER = {
    "forgotten-moments": ("trace/rule", "update 30 makes other parameters"),
    "clip-each": ("trace/clipping", "where the reference's limit of"),
}


@pytest.mark.parametrize("name", LATER)
def test_step_10_tells_a_second_mistake_behind_the_one_that_parts(recorded, tmp_path, name):
    first, second = (
        next(f for f in FAULTS if f.name == name) for name in ("undropped-gradient", name)
    )
    both = replace(second, override=composed(first.override, second.override))
    out = tmp_path / "candidate"
    candidate = record_side("candidate", out, given=recorded.reference, fault=both, steps=(10,))
    [verdict] = check(recorded.reference, candidate, steps=(10,)).verdicts
    assert "parts them: the loss agrees, the gradients do not" in verdict.findings[0].hints[0]
    place, said = LATER[name]
    [found] = [finding for finding in verdict.findings if finding.name.endswith(place)]
    assert said in found.message


def test_step_10_tells_no_second_mistake_where_there_is_one(recorded, tmp_path):
    [fault] = [fault for fault in FAULTS if fault.name == "undropped-gradient"]
    out = tmp_path / "candidate"
    candidate = record_side("candidate", out, given=recorded.reference, fault=fault, steps=(10,))
    [verdict] = check(recorded.reference, candidate, steps=(10,)).verdicts
    assert {f.name.rpartition("/")[2] for f in verdict.findings}.isdisjoint({"rule", "clipping"})


def test_an_aligned_step_has_no_hints(recorded):
    report = check(recorded.reference, recorded.candidate)
    assert [f for v in report.verdicts for f in v.findings if f.hints] == []
