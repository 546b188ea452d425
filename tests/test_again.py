"""A kink crossed by chance in one float32 run is no fault; what shows in every run is one."""

from contextlib import contextmanager

import numpy as np
import pytest

from modelparity import Outcome, check
from modelparity.recording import read
from toy.recorded import Sides, add_arrays, leave_out, record_side

# A port whose float32 trainings start from spoilt weights: so often, and by that share.
SPOILT = """
from toy.candidate import *
from toy import candidate as port

TIMES, SHARE = {times}, {share}
rough = 0


def build_optimizer(model, settings, updates):
    global rough
    kernel = model.mixer.params["kernel"]
    if kernel.dtype == "float32":
        rough += 1
        if rough <= TIMES:
            kernel *= kernel.dtype.type(1.0 + SHARE)
    return port.build_optimizer(model, settings, updates)
"""
STEPS = {7: "backward", 10: "training"}
SMALL, LARGE = 1e-4, 0.5
every_step = pytest.mark.parametrize("step", STEPS)


@pytest.fixture
def spoilt(recorded, side, tmp_path):
    """Records a port that starts its float32 trainings from spoilt weights."""

    def record(step, *, times, share):
        module = side(f"spoilt_{step}", SPOILT.format(times=times, share=share))
        how = {"module": module, "given": recorded.reference, "steps": (step,)}
        return Sides(recorded.reference, record_side("candidate", tmp_path / "candidate", **how))

    return record


def verdict(sides, step):
    return check(sides.reference, sides.candidate, steps=(step,)).verdicts[0]


def runs_again(sides, step):
    return [n for n in read(sides.candidate / STEPS[step]).names if n.startswith("again/")]


def test_a_port_within_its_limits_runs_once(recorded):
    assert not any(runs_again(recorded, step) for step in STEPS)


@every_step
def test_what_shows_in_one_float32_run_alone_is_not_accused_and_noted(spoilt, step):
    sides = spoilt(step, times=1, share=SMALL)
    found = verdict(sides, step)
    assert found.outcome is Outcome.ALIGNED, found.reason
    assert [note for note in found.notes if "crossed by chance" in note]


@every_step
def test_what_shows_in_every_float32_run_is_accused(spoilt, step):
    found = verdict(spoilt(step, times=99, share=SMALL), step)
    assert found.outcome is Outcome.DIVERGED
    assert found.reason.startswith("float32/")
    assert [note for note in found.notes if "from weights moved by one ulp too" in note]


@every_step
def test_what_is_larger_than_a_kink_is_accused_though_it_shows_in_one_run_alone(spoilt, step):
    assert verdict(spoilt(step, times=1, share=LARGE), step).outcome is Outcome.DIVERGED


@contextmanager
def changed(directory, name, array):
    """One array anew, as if the side had computed it."""
    before = {path: path.read_bytes() for path in directory.iterdir()}
    add_arrays(directory, {name: array})
    yield
    for path in directory.iterdir():
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


@every_step
def test_one_bad_element_in_either_run_is_accused(spoilt, step):
    sides = spoilt(step, times=1, share=SMALL)
    directory, missed = sides.candidate / STEPS[step], []
    recording = read(directory)
    names = [n for n in recording.names if n.startswith(("float32/tr", "again/"))]
    for place, name in enumerate(names):
        array = recording.array(name).copy()
        share = 1e-2 if name.startswith("again/") else 0.1
        array.reshape(-1)[place % array.size] += share * np.abs(array).max()
        with changed(directory, name, array):
            if verdict(sides, step).outcome is not Outcome.DIVERGED:
                missed.append(name)
    assert missed == []


@every_step
def test_a_run_again_that_lacks_an_array_or_has_one_more_accuses(spoilt, step):
    sides = spoilt(step, times=1, share=SMALL)
    directory = sides.candidate / STEPS[step]
    name = runs_again(sides, step)[0]
    with changed(directory, "again/float32/trained/unknown", np.ones(3, np.float32)):
        assert verdict(sides, step).outcome is Outcome.DIVERGED
    leave_out(directory, [name])
    assert verdict(sides, step).outcome is Outcome.DIVERGED
