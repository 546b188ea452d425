"""A module outside the package that overrides one function of a side is a side like any other."""

import importlib.util
import json

import pytest

from command import modelparity

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("torch", "paddle"))),
        reason="both sides run: PyTorch and PaddlePaddle are needed",
    ),
]

SAME = """
from jointbert.in_paddle import optimize
from jointbert.in_paddle.side import *

def update(model, optimizer, schedule, settings):
    optimize.update(model, optimizer, schedule, settings)
"""

NO_CLIPPING = """
from jointbert.in_paddle.side import *

def update(model, optimizer, schedule, settings):
    optimizer.step()
    schedule.step()
"""

LAST_BATCH_DROPPED = """
from jointbert.in_paddle import data
from jointbert.in_paddle.side import *

def evaluation_batches(settings, split):
    return list(data.evaluation_batches(settings, split))[:-1]
"""

OTHER_EPS = """
from jointbert.in_paddle.side import *

def forward(model, batch):
    model.bert.encoder.layer[0].output.LayerNorm._epsilon = 1e-8
    return model(**batch)
"""

# Deeper than the side's functions: one table of the port's encoder.
OTHER_ACTIVATION = """
from paddle import nn
from jointbert.in_paddle import bert
from jointbert.in_paddle.side import *

bert.ACTIVATIONS = {"gelu": lambda: nn.GELU(approximate=True)}
"""


SMALL = ("--set", "layers=1", "--set", "trained_updates=1", "--quiet")


def write(directory, source):
    """The side `mine.side` in the current directory."""
    (directory / "mine").mkdir()
    (directory / "mine" / "side.py").write_text(source, encoding="utf-8")


def told(run, report):
    """The exit code, and each claimed step's outcome and reason."""
    assert run.returncode != 2, run.stderr
    steps = json.loads(report.read_text(encoding="utf-8"))["steps"]
    claimed = [step for step in steps if step["outcome"] in ("aligned", "diverged", "inconclusive")]
    return run.returncode, {step["number"]: (step["outcome"], step["reason"]) for step in claimed}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """A finished run with a side that overrides a function by its like."""
    directory = tmp_path_factory.mktemp("unchanged")
    write(directory, SAME)
    how = ("--candidate", "mine.side", "--steps", "1,2,6", "--out", "out", *SMALL)
    return directory, modelparity(directory, "run", "jointbert", *how)


def test_an_override_that_changes_nothing_is_aligned(unchanged):
    code, steps = told(unchanged[1], unchanged[0] / "out" / "report.json")
    assert code == 0, steps
    assert {n: outcome for n, (outcome, _) in steps.items()} == dict.fromkeys((1, 2, 6), "aligned")


def test_an_override_that_is_wrong_diverges(tmp_path):
    write(tmp_path, LAST_BATCH_DROPPED)
    how = ("--candidate", "mine.side", "--steps", "2", "--out", "out", *SMALL)
    run = modelparity(tmp_path, "run", "jointbert", *how)
    code, steps = told(run, tmp_path / "out" / "report.json")
    assert code == 1, steps
    assert steps[2][0] == "diverged"
    assert steps[2][1].startswith("dev")


@pytest.mark.parametrize(
    ("source", "step", "site"),
    [
        (NO_CLIPPING, 6, "clip"),
        (LAST_BATCH_DROPPED, 2, "dev"),
        (OTHER_EPS, 1, "encoder.layer.0.output.LayerNorm"),
        (OTHER_ACTIVATION, 1, "intermediate_act_fn"),
    ],
    ids=["no clipping", "last batch dropped", "another eps", "another activation, deeper"],
)
def test_a_wrong_override_is_red_in_its_step_first(unchanged, tmp_path, source, step, site):
    write(tmp_path, source)
    given = unchanged[0] / "out" / "reference"
    steps_until = ("--steps", ",".join(str(n) for n in (1, 2, 6) if n <= step))
    how = ("--side", "candidate", "--module", "mine.side", "--given", given, "--out", "wrong")
    recorded = modelparity(tmp_path, "record", "jointbert", *how, *steps_until, *SMALL)
    assert recorded.returncode == 0, recorded.stderr
    run = modelparity(tmp_path, "check", given, "wrong", "--out", "reports", *steps_until)
    code, steps = told(run, tmp_path / "reports" / "report.json")
    assert code == 1, steps
    assert next(n for n, (outcome, _) in steps.items() if outcome == "diverged") == step
    assert site in steps[step][1]
    assert all(steps[number][0] == "aligned" for number in steps if number < step)
