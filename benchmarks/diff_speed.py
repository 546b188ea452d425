"""How fast and in how much memory two files are compared; the tools in use in the same run.

    python benchmarks/diff_speed.py [--gb 1 8] [--json] [--dir DIR]

Each tool runs in a process of its own, on one thread, on two memory-mapped .npy files of float32
that are in the page cache: warmed by one run that does not count, then the best of several. A rate
counts the bytes of both files. The memory is what is anonymous (not backed by a file) at its peak,
above what it was before the comparison. With --json the last line is one object.
"""

import argparse
import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GB = 10**9
BLOCK = 1 << 24  # elements of random numbers, repeated to the end of the file
TOOLS = {
    "read": "the machine's read bandwidth",
    "ours": "modelparity diff",
    "ours, numpy": "modelparity diff --kernel numpy",
    "np.allclose": "np.allclose",
    "np.testing": "np.testing.assert_allclose",
    "torch": "torch.testing.assert_close",
    "reprod_log": "reprod_log, compare_info",
    "polygraphy": "polygraphy, SimpleCompareFunc",
}
OWN = ("read", "ours", "ours, numpy")
SLOW = 5.0  # seconds; what takes longer is timed once
NEEDS = 6  # times a file's size that the other tools hold in memory at most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gb", type=float, nargs="+", default=[1.0, 8.0], help="of each file")
    parser.add_argument("--dir", type=Path, help="where the files are made; default: a new one")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--one", nargs=3, metavar=("TOOL", "A", "B"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(*options.one)))
        return 0
    with tempfile.TemporaryDirectory(dir=options.dir) as place:
        runs = [all_tools(Path(place), gb) for gb in options.gb]
    for run in runs:
        show(run)
    if options.json:
        print(json.dumps({**headline(runs[0]), "runs": runs}))
    return 0


def all_tools(place: Path, gb: float) -> dict[str, Any]:
    """What every tool needs for two files of this size."""
    size = int(gb * GB) // 4
    sparse = make(place, size)
    paths = [str(place / name) for name in ("a.npy", "b.npy")]
    found: dict[str, Any] = {}
    for tool in TOOLS:
        needs = 2 * size * 4 + (NEEDS * size * 4 if tool not in OWN else 0)
        if needs > memory():
            found[tool] = {"skipped": f"{needs / GB:.0f} GB of memory needed"}
            continue
        found[tool] = ask(tool, paths)
    return {"gb": gb, "sparse": sparse, "load": os.getloadavg()[0], "tools": found}


def ask(tool: str, paths: list[str]) -> dict[str, Any]:
    """A tool in a process of its own, on one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    source = str(Path(__file__).resolve().parents[1] / "src")
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    run = subprocess.run(
        [sys.executable, __file__, "--one", tool, *paths],
        env={**os.environ, **dict.fromkeys(names, "1"), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode:
        return {"skipped": f"it failed with exit code {run.returncode}"}
    return json.loads(run.stdout.splitlines()[-1])


def make(place: Path, size: int) -> bool:
    """Two files that differ by rounding; whether holes had to stand for most of their content."""
    free = os.statvfs(place)
    sparse = 2 * size * 4 > 0.8 * free.f_bavail * free.f_frsize
    block = np.random.default_rng(0).standard_normal(BLOCK, dtype=np.float32)
    for name, factor in (("a.npy", 1.0), ("b.npy", 1.0 + 2**-23)):
        (place / name).unlink(missing_ok=True)
        file = np.lib.format.open_memmap(place / name, "w+", np.float32, (size,))
        values = block * np.float32(factor)
        for start in range(0, size if not sparse else min(size, BLOCK), BLOCK):
            file[start : start + BLOCK] = values[: size - start]
        file.flush()
        del file
    return sparse


def measured(tool: str, first: str, second: str) -> dict[str, Any]:
    """Seconds and megabytes of one tool, or why it was not run."""
    try:
        work, kind = prepared(tool, Path(first), Path(second))
    except ImportError as error:
        return {"skipped": f"not installed: {error.name}"}
    begun = time.perf_counter()
    work()  # warm: files in the page cache, code compiled
    slow = time.perf_counter() - begun > SLOW
    before = anonymous()
    peak, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    done.set()
    watcher.join()
    while not slow and time.perf_counter() - begun < 10.0:
        again = time.perf_counter()
        work()
        seconds = min(seconds, time.perf_counter() - again)
    size = Path(first).stat().st_size + Path(second).stat().st_size
    extra = max(0, peak[0] - before) / 1024
    return {"gb_per_s": size / GB / seconds, "seconds": seconds, "extra_mb": extra, "kind": kind}


def anonymous() -> int:
    """Kilobytes of this process that no file backs."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))


def memory() -> int:
    """Bytes of memory that can be had, the page cache included."""
    text = Path("/proc/meminfo").read_text()
    lines = (line.split() for line in text.splitlines())
    return 1024 * next(int(words[1]) for words in lines if words[0] == "MemAvailable:")


def prepared(tool: str, first: Path, second: Path) -> tuple[Callable[[], object], str]:
    """What is to be timed, with its arrays mapped and its modules loaded; and a word about it."""
    if tool.startswith("ours"):
        return ours(first, second, "numpy" if tool.endswith("numpy") else "")
    a, b = (np.load(path, mmap_mode="r") for path in (first, second))
    if tool == "read":
        return (lambda: (read(a), read(b))), ""
    if tool == "np.allclose":
        return (lambda: np.allclose(b, a)), ""
    if tool == "np.testing":
        return (lambda: np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-8)), ""
    if tool == "torch":
        return torch_assert(a, b), ""
    if tool == "reprod_log":
        importlib.import_module("reprod_log")
        from reprod_log import ReprodDiffHelper

        return (lambda: ReprodDiffHelper().compare_info({"x": a}, {"x": b})), ""
    return polygraphy(a, b), ""


def ours(first: Path, second: Path, kernel: str) -> tuple[Callable[[], object], str]:
    from modelparity.compare import Options, compare

    def work() -> object:
        found = compare(reference=first, candidate=second, options=Options(kernel=kernel))
        assert found.outcome.value == "aligned", found.reason
        return found

    return work, work().kernel  # type: ignore[attr-defined]


def read(array: np.ndarray[Any, Any]) -> int:
    """Every byte once, with as little arithmetic as there can be."""
    even = array[: array.size // 2 * 2].view(np.uint64)
    step = 1 << 17
    starts = range(0, even.size, step)
    return max(int(np.bitwise_or.reduce(even[i : i + step])) for i in starts)


def torch_assert(a: Any, b: Any) -> Callable[[], object]:
    import torch

    torch.set_num_threads(1)
    writable = [np.load(x.filename, mmap_mode="c") for x in (a, b)]  # or torch warns
    first, second = map(torch.from_numpy, writable)
    return lambda: torch.testing.assert_close(second, first)


def polygraphy(a: Any, b: Any) -> Callable[[], object]:
    from polygraphy.comparator import Comparator, IterationResult, RunResults, SimpleCompareFunc
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    logging.disable()
    results = RunResults()
    for side, array in (("reference", a), ("candidate", b)):
        results.append((side, [IterationResult({"x": array}, runner_name=side)]))
    return lambda: Comparator.compare_accuracy(results, compare_func=SimpleCompareFunc())


def headline(run: dict[str, Any]) -> dict[str, Any]:
    """The figures that the project is held to, of the smallest files; null where one is missing."""
    tools = run["tools"]
    rate = {tool: found.get("gb_per_s") for tool, found in tools.items()}

    def over(other: str) -> float | None:
        return rate["ours"] / rate[other] if rate["ours"] and rate[other] else None

    return {
        "ours_over_np_allclose": over("np.allclose"),
        "ours_over_torch_assert_close": over("torch"),
        "share_of_read_bandwidth": over("read"),
        "extra_anonymous_mb": tools["ours"].get("extra_mb"),
        "kernel": tools["ours"].get("kind"),
        "gb_per_s": rate,
    }


def show(run: dict[str, Any]) -> None:
    """A table of one size."""
    content = "mostly holes" if run["sparse"] else "random numbers"
    print(f"\n2 x {run['gb']:g} GB of float32, {content}; load {run['load']:.1f} at the end\n")
    print(f"{'':34}{'GB/s':>8}{'of bandwidth':>14}{'extra MB':>10}")
    bandwidth = run["tools"]["read"].get("gb_per_s")
    for tool, name in TOOLS.items():
        found = run["tools"][tool]
        if "skipped" in found:
            print(f"{name:<34}{'-':>8}  {found['skipped']}")
            continue
        share = f"{100 * found['gb_per_s'] / bandwidth:.0f} %" if bandwidth else ""
        kind = f"  {found['kind']}" if found["kind"] else ""
        print(f"{name:<34}{found['gb_per_s']:>8.2f}{share:>14}{found['extra_mb']:>10.0f}{kind}")


if __name__ == "__main__":
    sys.exit(main())
