"""An interrupted training goes on to the same parameters, bit for bit, on both sides."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle

from jointbert.checkpoint import Store
from jointbert.cli import main

FRAMEWORKS = ("torch", "paddle")
OPTIONS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "crf, two batches an update, decay": {
        "crf": True,
        "gradient_accumulation_steps": 2,
        "weight_decay": 0.01,
        "warmup_steps": 7,
    },
    "weighted": {"intent_weights": tuple(np.linspace(0.5, 1.5, 13)), "schedule": "constant"},
}


class Killed(Exception):
    """What stops a training in the middle."""


@pytest.fixture
def side(request: pytest.FixtureRequest) -> Any:
    if request.param == "paddle":
        import_paddle()
    pytest.importorskip(request.param, reason="one framework is needed")
    return importlib.import_module(f"jointbert.in_{request.param}.train")


def parameters(model: Any) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("side", FRAMEWORKS, indirect=True)
def test_a_training_killed_three_times_ends_with_the_same_bits(
    side: Any, options: dict[str, Any], prepared: Callable[..., Any], tmp_path: Path
):
    settings = {**prepared(epochs=2), **options}
    whole = side.fit(settings)

    def run(until: int) -> Any:
        def on_update(done: int, _total: int, _loss: float) -> None:
            if done == until:
                raise Killed

        return side.fit(settings, side.Listener(on_update), Store(tmp_path, {}, 4))

    updates = len(whole.losses)
    for until in (3, updates // 2 + 3, updates - 1):
        with pytest.raises(Killed):
            run(until)
    resumed = run(-1)
    assert parameters(resumed.model) == parameters(whole.model)
    assert (resumed.losses, resumed.evaluations) == (whole.losses, whole.evaluations)


@pytest.mark.parametrize("side", FRAMEWORKS, indirect=True)
def test_patience_ends_a_training_early(side: Any, prepared: Callable[..., Any]):
    # With a rate of almost zero no epoch is better than the first but by its loss.
    settings = {**prepared(epochs=6, learning_rate=1e-30), "patience": 2}
    assert len(side.fit(settings).evaluations) == 3


@pytest.mark.parametrize("side", FRAMEWORKS, indirect=True)
def test_two_halves_of_a_batch_make_the_update_of_the_whole(
    side: Any, prepared: Callable[..., Any]
):
    settings = prepared(epochs=1, dropout=0.0, bucket=False)
    assert side.fit({**settings, "gradient_accumulation_steps": 4}).losses[0] == pytest.approx(
        np.mean(side.fit({**settings, "learning_rate": 1e-30}).losses[:4]), rel=0.2
    )


@pytest.mark.slow
def test_a_process_killed_at_any_moment_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("torch", reason="the training runs in PyTorch")

    def command(out: str, *more: str) -> list[str]:
        options = ["--lr", "4e-3", "--epochs", "2", "--threads", "1", "--save_steps", "2"]
        given = ["--data", "embedded", "--checkpoint", "embedded", "--out", str(tmp_path / out)]
        return ["train", "--quiet", *given, *options, *more]

    start = [sys.executable, "-m", "jointbert.cli"]
    process = subprocess.Popen([*start, *command("killed")])
    while not list((tmp_path / "killed" / "training").glob("*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert main(command("killed")) == 2
    assert "holds an interrupted training; add --resume" in capsys.readouterr().err
    for arguments in (command("killed", "--resume"), command("whole")):
        subprocess.run([*start, *arguments], check=True, capture_output=True)
    models = [(tmp_path / one / "model.safetensors").read_bytes() for one in ("killed", "whole")]
    assert models[0] == models[1]
