"""`modelparity diff`: exit codes, one line for wrong input, bounded memory, many tensors."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from command import environment, modelparity, refusal

ONES = np.ones((3, 4), np.float32)


@pytest.fixture
def place(tmp_path):
    np.save(tmp_path / "a.npy", ONES)
    np.save(tmp_path / "same.npy", ONES)
    np.save(tmp_path / "other.npy", ONES * 2)
    np.save(tmp_path / "empty.npy", np.ones(0, np.float32))
    np.save(tmp_path / "truth.npy", ONES.astype(np.float64))
    return tmp_path


@pytest.mark.parametrize(
    ("a", "b", "code", "word"),
    [
        ("a.npy", "same.npy", 0, "aligned: of 1 tensor 1 aligned; 12 elements compared"),
        ("a.npy", "other.npy", 1, "DIVERGED: of 1 tensor 1 diverged; 12 elements compared"),
        ("empty.npy", "empty.npy", 3, "inconclusive: of 1 tensor 1 inconclusive"),
    ],
)
def test_the_exit_code_says_the_outcome(place, a, b, code, word):
    run = modelparity(place, "diff", a, b)
    assert run.returncode == code, run.stderr
    assert run.stdout.splitlines()[-1].startswith(word)


def test_json_is_all_that_is_printed(place):
    run = modelparity(place, "diff", "a.npy", "other.npy", "--json", "--full", "--quiet")
    assert json.loads(run.stdout)["outcome"] == "diverged"
    assert run.stderr == ""


def test_a_truth_judges(place):
    run = modelparity(place, "diff", "a.npy", "same.npy", "--truth", "truth.npy", "--json")
    data = json.loads(run.stdout)
    assert (data["truth"], data["tensors"][0]["rule"]) == ("truth.npy", "noise")


def test_reports_are_written(place):
    run = modelparity(place, "diff", "a.npy", "same.npy", "--out", "reports")
    assert run.returncode == 0
    assert sorted(p.name for p in (place / "reports").iterdir()) == [
        "diff.json",
        "diff.md",
        "junit.xml",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.npy", "gone.npy"], "gone.npy: there is no such file or directory"),
        (["a.npy", "same.npy", "--workers", "0"], "--workers 0: expected 1 or more"),
        (["a.npy", "same.npy", "--rename", "a"], "--rename 'a': expected"),
        (["a.npy", "same.npy", "--tolerance", "x"], "--tolerance 'x': expected"),
        (["a.npy", "same.npy", "--workers", "2", "--dask", "x"], "exclude each other"),
        (["a.npy", "same.npy", "--format", "reprod_log", "--full"], "--full: not with"),
        (["a.npy", "same.npy", "--format", "reprod_log", "--metric", "x"], "--metric x"),
        (["a.npy", "same.npy", "--format", "reprod_log", "--json"], "--json: not with"),
        (["a.npy", "same.npy", "--threshold", "1"], "only with --format reprod_log"),
        (["a.npy", "same.npy", "--format", "junit", "--json"], "exclude each other"),
        (["a.npy", "same.npy", "--rename", "{a} -> {b}"], "nothing binds {b}"),
        (["a.npy"], "the following arguments are required: B"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(place, arguments, words):
    assert words in refusal(place, "diff", *arguments)


def test_a_file_that_is_none_is_refused(place):
    (place / "text.npy").write_text("no tensors")
    assert "text.npy" in refusal(place, "diff", "a.npy", "text.npy")


@pytest.mark.slow
def test_fifty_thousand_tensors_take_seconds(tmp_path):
    g = np.random.default_rng(0)
    arrays = {f"layer.{i}.weight": g.standard_normal(8).astype(np.float32) for i in range(50_000)}
    save_file(arrays, tmp_path / "a.safetensors")
    begun = time.monotonic()
    run = modelparity(tmp_path, "diff", "a.safetensors", "a.safetensors", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["counts"]["aligned"] == 50_000
    assert time.monotonic() - begun < 60  # seconds; this machine may be busy


MEASURE = """
import sys
from modelparity.cli import main
def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
main(["diff", "small.npy", "small.npy", "--quiet"])  # what is loaded at first use
before = anonymous()
from threading import Thread, Event
peak, done = [0], Event()
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], anonymous())
watcher = Thread(target=watch); watcher.start()
main(sys.argv[1:])
done.set(); watcher.join()
print("extra", (peak[0] - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="anonymous memory is read from /proc")
@pytest.mark.parametrize("options", [[], ["--full"], ["--transpose", "array"]])
def test_memory_does_not_grow_with_the_tensors(tmp_path, options):
    np.save(tmp_path / "small.npy", np.ones(10))
    large = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, (8_000, 8_000))
    large[:] = 1.0
    large[5, 6] = 2.0
    large.flush()
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, "diff", "a.npy", "a.npy", "--quiet", *options],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "extra" in run.stdout, run.stderr
    assert int(run.stdout.split("extra")[1]) <= 64  # MB, where the two hold 512
