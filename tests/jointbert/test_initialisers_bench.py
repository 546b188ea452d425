"""benchmarks/initialisers.py judges right and wrong ports, and goes on where it was stopped."""

import subprocess
import sys
from pathlib import Path

import pytest
from frameworks import import_paddle

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "initialisers.py"

pytest.importorskip("torch", reason="the benchmark records both frameworks")
import_paddle()


@pytest.mark.slow
def test_a_wrong_initialiser_counts_as_caught_and_a_right_one_is_not_judged_twice(tmp_path: Path):
    def run(wrong: int) -> str:
        few = ["--runs", "1", "--wrong", str(wrong), "--jobs", "1"]
        command = [sys.executable, str(SCRIPT), *few, "--out", str(tmp_path / "rows.jsonl")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("right: aligned" in done.stderr) == (wrong == 0)
        return done.stdout

    assert "| as the reference does | 1 | 0 |" in run(0)
    table = run(1)
    assert "| as the reference does | 1 | 0 |" in table
    assert table.count("| 1 | 1 |") == 7
