"""Kinks of activations, which rounding crosses by chance, are not held against a clean port.

What computes too coarsely in float32 alone is.
"""

import importlib.util
import json
import sys
import warnings
from pathlib import Path

import pytest

for framework in ("torch", "paddle"):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"the ports need {framework}", allow_module_level=True)

# PyTorch comes first: this order is the one that loads both; Paddle's import warns.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ports import convnet_torch  # noqa: F401  # isort: skip
    from ports import coarse  # isort: skip

from modelparity import Outcome, check  # noqa: E402
from ports import cases  # noqa: E402
from toy.recorded import Sides, record_side  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:When training, we now always track"),
]


def recorded(out, step, seed, **how):
    """Both sides of the convolutional net, of one step."""
    case = {"case": cases.CONVNET, "steps": (step,), "seed": seed}
    reference = record_side("reference", out / "reference", module=cases.CONVNET.reference, **case)
    how = {"module": cases.CONVNET.candidate, "given": reference, **case, **how}
    return Sides(reference, record_side("candidate", out / "candidate", **how))


def verdict(sides, step):
    return check(sides.reference, sides.candidate, steps=(step,)).verdicts[0]


# Found among the first 260 seeds, each of which crosses a kink: in the reference's runs (17, 46),
# in the candidate's float32 run of step 7 or of step 10.
@pytest.mark.parametrize(("seed", "step"), [(17, 10), (46, 10), (90, 7), (105, 10)])
def test_a_clean_port_that_crosses_a_kink_is_aligned(tmp_path, seed, step):
    found = verdict(recorded(tmp_path, step, seed), step)
    assert found.outcome is Outcome.ALIGNED, found.reason


@pytest.mark.parametrize("fault", coarse.FAULTS, ids=lambda fault: fault.name)
def test_what_is_coarse_in_float32_alone_is_accused(tmp_path, fault):
    found = verdict(recorded(tmp_path, fault.step, 3, fault=fault), fault.step)
    assert found.outcome is Outcome.DIVERGED
    wrong = [f.name for f in found.findings if f.outcome is Outcome.DIVERGED]
    assert all(name.startswith("float32/") for name in wrong), wrong
    assert [name for name in wrong if fault.site in name]


def test_the_count_of_clean_ports_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import clean_ports

    path = tmp_path / "results.jsonl"
    found = {"case": "convnet", "steps": [7, 10], "accused": {}, "chance": []}
    lines = [
        {**found, "seed": 1},
        {**found, "seed": 2, "accused": {"7": "float32/training/loss: far"}},
        {**found, "seed": 3, "chance": [7]},
        {**found, "seed": 4, "accused": {"7": "not asked for"}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"seed"')
    monkeypatch.setattr(sys, "argv", ["clean_ports.py", "--seeds", "3", "--out", str(path)])
    assert clean_ports.main() == 1
    assert capsys.readouterr().out == "3 seeds, 1 accused; 1 more without another run\n"
