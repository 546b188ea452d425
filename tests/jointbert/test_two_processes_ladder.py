"""The cases with one framework in one process against itself in two."""

import importlib.util
from pathlib import Path

import pytest

from jointbert import recorders, two_processes
from jointbert.faults.together import FAULTS
from modelparity import Outcome, Report, UsageError, check
from modelparity.run import SideOrder, record_side

STEPS = (7, 8)
TINY = ("layers=1", "hidden=16", "heads=2", "intermediate=16")
SHARED_ON_PURPOSE = {*two_processes.SHARED, "together", "together_side", "together_adapter"}


def judged(framework: str, place: Path, fault: str = "") -> Report:
    """The case's verdicts; the reference is recorded once a directory."""
    case, reference = f"jointbert.two_processes:{framework.upper()}", place / "reference"
    orders = [SideOrder(case, "reference", reference, STEPS, changes=TINY)]
    candidate = place / (fault or "candidate")
    orders.append(
        SideOrder(case, "candidate", candidate, STEPS, reference, fault=fault, changes=TINY)
    )
    for order in orders[reference.exists() :]:
        record_side(order, lambda _text, _done, _total: None)
    return check(reference, candidate, steps=STEPS, fault=fault)


def outcomes(report: Report) -> dict[int, Outcome]:
    return {v.number: v.outcome for v in report.verdicts if v.number in STEPS}


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "paddle"])
def test_two_processes_are_aligned_with_one_and_a_mean_of_means_is_not(
    framework: str, tmp_path: Path
):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    assert set(outcomes(judged(framework, tmp_path)).values()) == {Outcome.ALIGNED}
    report = judged(framework, tmp_path, "mean-of-means")
    assert outcomes(report) == {7: Outcome.DIVERGED, 8: Outcome.ALIGNED}


def test_only_what_distributes_is_on_trial():
    for framework in ("torch", "paddle"):
        package = importlib.util.find_spec(f"jointbert.in_{framework}")
        assert package
        assert package.origin
        modules = {path.stem for path in Path(package.origin).parent.glob("*.py")}
        beside = {"__init__", "predict", "train"}  # no step runs these
        assert modules - SHARED_ON_PURPOSE == modules & beside


def test_the_side_of_two_processes_runs_in_a_recorder_only():
    with pytest.raises(UsageError, match="modelparity run starts both"):
        recorders.meet()


def test_the_faults_have_names_of_their_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
