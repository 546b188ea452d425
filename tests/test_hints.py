"""A red step's first two hints say what is wrong, not only where."""

import pytest

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
    "one-ahead": "every rate comes one update too early",
    "decay-all": "decay on the candidate",
    "decay-coupled": "the decay is added to the gradient",
    "dropout-rate": "rate is 0.2 at 1 of 1 sites",
    "same-order": "the candidate's order is the same as that of epoch.0/",
    "short-epoch": "1 of 97 rows are missing, the last",
    "forgotten-moments": "as where state (moments",
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


def test_an_aligned_step_has_no_hints(recorded):
    report = check(recorded.reference, recorded.candidate)
    assert [f for v in report.verdicts for f in v.findings if f.hints] == []
