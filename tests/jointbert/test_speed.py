"""benchmarks/jointbert_speed.py runs; what it measures here means nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from frameworks import import_paddle

from jointbert.case import SETTINGS
from jointbert.embedded import write_model, write_task

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "jointbert_speed.py"

pytest.importorskip("torch", reason="the benchmark compares both frameworks")
import_paddle()


@pytest.mark.slow
def test_both_frameworks_are_measured_in_one_run(tmp_path):
    from transformers import BertConfig, BertModel

    for task in ("atis", "snips"):
        write_task(tmp_path / task)
    write_model(tmp_path / "model", SETTINGS)
    BertModel(BertConfig.from_pretrained(tmp_path / "model")).save_pretrained(tmp_path / "model")
    places = ["--data", str(tmp_path), "--checkpoint", str(tmp_path / "model")]
    few = ["--threads", "1", "--rounds", "1", "--updates", "2", "--json"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *places, *few], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["train_bucketed_over_padded"]) == {"torch", "paddle"}
    assert found["paddle_over_torch_train_time"] > 0.0
    assert found["changed_predictions"] == 0
