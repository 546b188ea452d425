"""The same comparison by one process, by several and by a cluster: the same report, bit for bit."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from modelparity.compare import Options, compare, workers
from modelparity.compare.report.json import as_json
from modelparity.compare.sweep import CHUNK, Want
from modelparity.compare.tasks import Files, Job, plan
from modelparity.errors import ParityError, UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files: small tensors, and one that is cut into several tasks."""
    place = tmp_path_factory.mktemp("workers")
    g = np.random.default_rng(0)
    arrays = {f"layer.{i}": g.standard_normal(50).astype(np.float32) for i in range(2500)}
    arrays["large"] = g.standard_normal(70_000_000).astype(np.float32)
    np.savez(place / "a.npz", **arrays)
    arrays = {name: a * np.float32(1 + 1e-7) for name, a in arrays.items()}
    arrays["large"][69_999_999] = 7.0
    np.savez(place / "b.npz", **arrays)
    return place / "a.npz", place / "b.npz"


@pytest.fixture(scope="module")
def alone(files):
    return as_json(compare(reference=files[0], candidate=files[1]))


def test_a_large_tensor_in_a_file_is_spread_over_tasks(tmp_path):
    flat = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.int8, (40 * 64 * CHUNK,))
    flat.flush()
    files = Files(tmp_path / "a.npy", tmp_path / "a.npy")
    jobs = [(0, Job("array", "array", None, False, Want()), 0, 40)]
    assert len(plan(files, jobs, cut=False)) == 1
    pieces = [(piece.first, piece.last) for [piece] in plan(files, jobs, cut=True)]
    assert pieces == [(0, 16), (16, 32), (32, 40)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_workers_find_what_one_process_finds(files, alone, count):
    options = Options(workers=count)
    assert as_json(compare(reference=files[0], candidate=files[1], options=options)) == alone


class Bomb(tuple):
    """A task that ends the process which unpacks it, as a system short of memory would.

    Of a path: the first process only, which leaves a file there; of nothing: every one.
    """

    __slots__ = ()

    def __reduce__(self):
        return _explode, tuple(map(str, self))


def _explode(*path):
    if not path or not Path(path[0]).exists():
        if path:
            Path(path[0]).touch()
        os._exit(9)
    return ()


@pytest.mark.slow
def test_a_part_whose_process_was_killed_is_done_again(tmp_path):
    tasks = [Bomb([tmp_path / "gone"]), ()]
    assert list(workers.do(Files({}, {}), tasks, workers=2)) == [[], []]
    assert (tmp_path / "gone").exists()


@pytest.mark.slow
def test_processes_that_are_killed_again_and_again_are_given_up():
    with pytest.raises(ParityError, match="worker processes were killed 3 times"):
        list(workers.do(Files({}, {}), [Bomb(), ()], workers=2))


def _start(place, *arguments):
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each a process of its own."""
    pytest.importorskip("distributed", reason="not installed: pip install 'modelparity[dask]'")
    address = tmp_path / "scheduler.json"
    shared = ["--scheduler-file", str(address)]
    serving = ["--port", "0", "--no-dashboard"]
    scheduler = _start(tmp_path, "distributed.cli.dask_scheduler", *shared, *serving)
    each = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path)]
    hands = [_start(tmp_path, "distributed.cli.dask_worker", *shared, *each) for _ in range(2)]
    try:
        from distributed import Client

        deadline = time.monotonic() + 60
        while not address.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with Client(scheduler_file=str(address), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address, hands
    finally:
        for process in (*hands, scheduler):
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # a lost worker is reported by warnings of the client
def test_a_cluster_that_loses_a_worker_midway_finds_what_one_process_finds(
    files, alone, cluster, monkeypatch
):
    address, hands = cluster
    monkeypatch.chdir(files[0].parent)  # not the workers' own
    first, second = (Path(file.name) for file in files)
    lost = threading.Event()

    def tell(_text, done, _total):
        if done == 1 and not lost.is_set():
            hands[0].kill()
            lost.set()

    options = Options(dask=address)
    found = compare(reference=first, candidate=second, options=options, tell=tell)
    assert lost.is_set()
    assert as_json(found) == alone


def test_an_address_that_nobody_answers_is_refused():
    pytest.importorskip("distributed", reason="not installed: pip install 'modelparity[dask]'")
    with pytest.raises(UsageError, match="no scheduler answers"):
        list(workers.do(Files({}, {}), [()], dask="nonsense"))


def test_dask_that_is_not_installed_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"modelparity\[dask\]"):
        list(workers.do(Files({}, {}), [()], dask="tcp://127.0.0.1:1"))
