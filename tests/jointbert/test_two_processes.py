"""Two processes train as one does, and when one is killed all end, with a line and a checkpoint."""

import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from frameworks import import_paddle

from jointbert import workers
from jointbert.cli import main
from modelparity import UsageError

FRAMEWORKS = ("torch", "paddle")
OPTIONS: dict[str, dict[str, Any]] = {
    "softmax": {"batch_size": 7},
    "crf": {"crf": True, "bucket": False},
    "weighted": {"ignore_index": -100},
}
WEIGHTS = {"intent_weights": list(np.linspace(0.5, 1.5, 13))}
NEAR, UPDATED = 1e-12, 1e-10  # Adam's quotients blow up what rounding leaves of small gradients
FLOOR = 1e-3  # of what is zero mathematically, as the gradient of attention's key bias
TRAIN = ("train", "--data", "embedded", "--checkpoint", "embedded", "--quiet")
TRAIN += ("--lr", "4e-3", "--epochs", "1", "--threads", "1", "--save_steps", "2")
# Which is killed: a process by its number, or what has started them all (None).
VICTIMS: dict[str, tuple[str | None, ...]] = {"torch": ("0",), "paddle": ("1", None)}
LAUNCHERS = {
    "torch": ("torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"),
    "paddle": ("paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log"),
}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture
def together(framework: str) -> Any:
    if framework == "paddle":
        import_paddle()
    return importlib.import_module(f"jointbert.in_{framework}.together")


def test_shares_make_up_every_batch_in_its_order(together: Any):
    for size in (1, 2, 3, 5):
        for count in range(1, 12):
            batch = {"input_ids": np.arange(count), "mask": np.arange(count) + 7}
            shares = [together.share(together.Ranks(rank, size), batch) for rank in range(size)]
            for name, whole in batch.items():
                assert np.array_equal(np.concatenate([s[name] for s in shares]), whole)
            assert len(shares[0]["mask"]) - len(shares[-1]["mask"]) in (0, 1)


@pytest.mark.slow
def test_two_processes_compute_what_one_does(
    framework: str, prepared: Callable[..., Any], tmp_path: Path
):
    jobs = [{"name": n, "settings": prepared(**changes)} for n, changes in OPTIONS.items()]
    jobs[-1]["settings"] |= WEIGHTS
    script, out = Path(__file__).with_name("updates.py"), tmp_path / "found.npz"
    command = [sys.executable, str(script), framework, json.dumps(jobs), str(out)]
    port = workers.free_port()
    both = [workers.start(command, workers.environment(rank, 2, port)) for rank in (0, 1)]
    statuses = [one.wait() for one in both]
    workers.end(both)
    assert statuses == [0, 0]
    with np.load(out) as found:
        arrays = dict(found)
    names = [name for name in arrays if "/many/" in name]
    assert len(names) * 2 == len(arrays)
    assert {name.split("/")[0] for name in names} == set(OPTIONS)
    for name in names:
        updated = "/updated/" in name
        if not (updated and name.endswith("self.key.bias")):  # whose gradient is noise alone
            one = arrays[name.replace("/many/", "/one/")]
            near(arrays[name], one, UPDATED if updated else NEAR)


def near(many: Any, one: Any, limit: float) -> None:
    assert np.abs(many - one).max() <= limit * max(float(np.abs(one).max()), FLOOR)


def test_a_difference_would_be_seen():
    with pytest.raises(AssertionError):
        near(np.array(1.0 + 1e-11), np.array(1.0), NEAR)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="workers are found in /proc")
def test_a_training_with_killed_processes_ends_with_the_same_bits(framework: str, tmp_path: Path):
    more: tuple[str, ...] = ()
    for victim in VICTIMS[framework]:
        status, said = killed(framework, tmp_path / "killed", victim, more)
        line = f"jointbert: process {victim} of 2 was killed by signal 9 (SIGKILL), so the training"
        line += " has ended; the same command with --resume goes on\n"
        expected = (128 + signal.SIGKILL, line) if victim else (-signal.SIGKILL, "")
        assert (status, said) == expected
        more = ("--resume",)
    ours = ["--framework", framework, "--processes", "2"]
    jointbert = [sys.executable, "-m", "jointbert", *TRAIN, *ours]
    subprocess.run([*jointbert, "--out", str(tmp_path / "killed"), "--resume"], check=True)
    script = tmp_path / "train.py"
    script.write_text("import sys\nfrom jointbert.cli import main\n\nsys.exit(main())\n")
    launched = [sys.executable, "-m", *LAUNCHERS[framework], str(script), *TRAIN, *ours[:2]]
    subprocess.run(
        [*launched, "--out", str(tmp_path / "whole")], check=True, cwd=tmp_path, capture_output=True
    )
    models = [(tmp_path / one / "model.safetensors").read_bytes() for one in ("killed", "whole")]
    assert models[0] == models[1]


def killed(framework: str, out: Path, victim: str | None, more: tuple[str, ...]) -> tuple[int, str]:
    """Train until a checkpoint is written, then kill; the exit code and what was said."""
    before = checkpoints(out)
    command = [sys.executable, "-m", "jointbert", *TRAIN, "--out", str(out), *more]
    command += ["--framework", framework, "--processes", "2"]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while checkpoints(out) <= before:
        assert started.poll() is None
        time.sleep(0.01)
    running = dict(children(started.pid))
    assert set(running) == {"0", "1"}
    os.kill(running[victim] if victim else started.pid, signal.SIGKILL)
    _, said = started.communicate()
    deadline = time.monotonic() + 30
    while any(map(alive, running.values())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started.returncode, said


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def checkpoints(out: Path) -> set[str]:
    return {path.name for path in (out / "training").glob("*.safetensors")}


def children(pid: int) -> Iterator[tuple[str, int]]:
    """The number of each of a process's workers, and its id."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        told = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        variables = dict(one.decode().partition("=")[::2] for one in told)
        yield variables["RANK"], int(child)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RANK": "1", "WORLD_SIZE": "x"}, "RANK=1, WORLD_SIZE=x: no number of a process"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2, WORLD_SIZE=2: no number of a process"),
    ],
)
def test_a_launcher_that_says_no_number_is_refused(
    given: Mapping[str, str], message: str, monkeypatch: pytest.MonkeyPatch
):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        workers.place("torch")


def test_another_number_than_was_started_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("torch", reason="the default framework")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*TRAIN, "--out", str(tmp_path / "o"), "--processes", "3"]) == 2
    assert capsys.readouterr().err == "jointbert: processes: 3, but 2 were started\n"


def test_what_is_wrong_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    pytest.importorskip("torch", reason="the default framework")
    arguments = [*TRAIN, "--processes", "2", "--out", str(tmp_path / "o"), "--data", "nowhere"]
    assert main(arguments) == 2
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("statuses", "code", "said"),
    [
        ((0, 0), 0, ""),
        ((2, None), 2, ""),
        ((workers.LOST, -9), 137, "process 1 of 2 was killed by signal 9 (SIGKILL)"),
        ((workers.LOST, 1), 1, "process 1 of 2 ended with status 1"),
        ((workers.LOST, workers.LOST), 3, "process 0 of 2 does not hear of the others"),
    ],
)
def test_the_cause_is_told_from_what_follows_from_it(
    statuses: tuple[int | None, ...],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def start(*_: Any) -> Any:
        status = next(ended)
        return Mock(poll=lambda: status)

    ended = iter(statuses)
    monkeypatch.setattr(workers, "start", start)
    assert workers.run(["train"], len(statuses)) == code
    assert said in capsys.readouterr().err
