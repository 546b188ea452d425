"""The two sides, each in its own process and in float64, without the ladder between them."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]
Pair = tuple[Mapping[str, Array], Mapping[str, Array]]
Prepare = Callable[..., dict[str, Any]]

TWIN = Path(__file__).with_name("twin.py")
NEAR = 1e-12
# What vanishes mathematically, as the gradient of attention's key bias, is rounding noise: its
# scale is this share of the median scale of its group.
FLOOR = 1e-2

OPTIONS: dict[str, dict[str, Any]] = {
    "softmax": {"weight_decay": 0.01, "warmup_steps": 3},
    "crf": {"crf": True, "slot_loss_coef": 0.5, "schedule": "constant"},
    "ignoring -100": {"ignore_index": -100},
}
BATCHED: dict[str, dict[str, Any]] = {
    **OPTIONS,
    "short": {"max_seq_len": 12},
    "file order": {"bucket": False},
    "small batches": {"batch_size": 7, "eval_batch_size": 10, "seed": 9},
}
REAL = ("atis", "snips")


def run_both(jobs: list[dict[str, Any]], directory: Path) -> Pair:
    for name in ("torch", "transformers", "paddle", "tokenizers"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"both sides are needed, and {name} is not installed")
    started = []
    for framework in ("torch", "paddle"):
        command = [sys.executable, str(TWIN), framework, json.dumps(jobs)]
        command.append(str(directory / f"{framework}.npz"))
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stderr=pipe, text=True, env=environment))
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    reference, candidate = (dict(np.load(directory / f"{f}.npz")) for f in ("torch", "paddle"))
    return reference, candidate


@pytest.fixture(scope="module")
def pair(prepared: Prepare, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    jobs = [
        {"name": name, "settings": prepared(**changes), "model": name in OPTIONS}
        for name, changes in BATCHED.items()
    ]
    return run_both(jobs, tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def real(prepared: Prepare, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    checkpoint = str(shared / "checkpoints" / "minilm-l6-h384-uncased")
    jobs = [
        {
            "name": name,
            "settings": prepared(data=str(shared / "data" / name), checkpoint=checkpoint),
            "model": False,
        }
        for name in REAL
    ]
    return run_both(jobs, tmp_path_factory.mktemp("real"))


def below(pair: Pair, start: str) -> list[tuple[str, Array, Array]]:
    reference, candidate = pair
    names = [name for name in reference if name.startswith(start)]
    assert names
    assert names == [name for name in candidate if name.startswith(start)]
    return [(name, candidate[name], reference[name]) for name in names]


def same(pair: Pair, start: str) -> None:
    for name, candidate, reference in below(pair, start):
        assert candidate.dtype == reference.dtype, name
        assert np.array_equal(candidate, reference), name


def close(pair: Pair, start: str, near: float = NEAR) -> None:
    found = below(pair, start)
    floor = FLOOR * float(np.median([rms(reference) for _, _, reference in found]))
    for name, candidate, reference in found:
        assert candidate.shape == reference.shape, name
        assert candidate.dtype == reference.dtype, name
        assert rms(candidate - reference) <= near * max(rms(reference), floor), name


def rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


@pytest.mark.parametrize("job", BATCHED)
def test_batches_are_equal(pair: Pair, job: str):
    same(pair, f"{job}/batch/")


@pytest.mark.parametrize("job", REAL)
def test_batches_of_real_data_are_equal(real: Pair, job: str):
    same(real, f"{job}/batch/")


@pytest.mark.parametrize("job", OPTIONS)
@pytest.mark.parametrize("batch", [0, 1])
def test_outputs_are_close(pair: Pair, job: str, batch: int):
    close(pair, f"{job}/output/{batch}/")


@pytest.mark.parametrize("job", OPTIONS)
@pytest.mark.parametrize("batch", [0, 1])
def test_gradients_of_every_parameter_are_close(pair: Pair, job: str, batch: int):
    close(pair, f"{job}/gradient/{batch}/")


@pytest.mark.parametrize("job", OPTIONS)
def test_the_padding_row_has_no_gradient_on_either_side(pair: Pair, job: str):
    name = f"{job}/gradient/0/bert.embeddings.word_embeddings.weight"
    for _, candidate, reference in below(pair, name):
        assert not candidate[0].any()
        assert not reference[0].any()


@pytest.mark.parametrize("job", OPTIONS)
def test_rates_are_equal_beyond_the_end_too(pair: Pair, job: str):
    same(pair, f"{job}/rates")


@pytest.mark.parametrize("job", OPTIONS)
def test_parameters_after_twenty_updates_are_close(pair: Pair, job: str):
    close(pair, f"{job}/updated/")


@pytest.mark.parametrize("job", OPTIONS)
def test_losses_of_a_training_are_close(pair: Pair, job: str):
    close(pair, f"{job}/losses")


@pytest.mark.parametrize("job", OPTIONS)
@pytest.mark.parametrize("split", ["dev", "test"])
def test_metrics_and_scores_are_close(pair: Pair, job: str, split: str):
    names = ("loss", "intent_acc", "slot_precision", "slot_recall", "slot_f1", "intent_logits")
    for name in (*names, "semantic_frame_acc"):
        close(pair, f"{job}/metric/{split}/{name}")


@pytest.mark.parametrize("job", OPTIONS)
@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("decision", ["intent_predictions", "slot_predictions"])
def test_decisions_are_equal(pair: Pair, job: str, split: str, decision: str):
    same(pair, f"{job}/metric/{split}/{decision}")


def test_a_difference_would_be_seen(pair: Pair):
    reference, candidate = pair
    name = "softmax/output/0/loss"
    moved = {**candidate, name: candidate[name] * (1 + 1e-9)}
    with pytest.raises(AssertionError):
        close((reference, moved), name)
