"""The tools in use, each by its own code, on pairs of .npz files; run by peers.py.

    python peer_tools.py TOOL JOBS.json ANSWERS.json

It runs in any interpreter that has NumPy and the tool; nothing of ours is imported. A job is the
reference's file and the candidate's. An answer says under which of the tool's usual settings the
two agree, and for each of its knobs which is the first of GRID, from tight to loose, at which they
do. A tool that stops with an error of its own has noticed: they do not agree.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# What a user sets such a threshold to: 0, then 1, 2 and 5 of each decade.
GRID = (0.0, *(float(f"{digit}e{power}") for power in range(-16, 4) for digit in (1, 2, 5)))

Arrays = dict[str, np.ndarray[Any, Any]]
Agrees = Callable[[float], bool]  # at a threshold


@dataclass(frozen=True)
class Tool:
    """How a tool is asked.

    knobs  name -> (candidate, reference) -> whether they agree at a threshold
    usual  name -> (knob, threshold): its defaults first, then what its guides use
    """

    knobs: Mapping[str, Callable[[Arrays, Arrays], Agrees]]
    usual: Mapping[str, tuple[str, float]]


def reprod_log() -> Tool:
    from reprod_log import ReprodDiffHelper
    from reprod_log.utils import check_print_diff

    def statistic(method: str) -> Callable[[Arrays, Arrays], Agrees]:
        def compare(candidate: Arrays, reference: Arrays) -> Agrees:
            helper = ReprodDiffHelper()
            helper.compare_info(reference, candidate)
            # What its report() calls; report() itself returns nothing.
            return lambda limit: check_print_diff(
                helper.diff_dict, method, limit, print_func=lambda _: None
            )

        return compare

    knobs = {method: statistic(method) for method in ("mean", "max")}
    return Tool(knobs, {"default 1e-6": ("mean", 1e-6), "guide 1e-5": ("mean", 1e-5)})


def padiff() -> Tool:
    """Its comparison of two arrays; auto_diff() itself wants both live models in one process."""
    importlib.import_module("padiff")
    from padiff.utils import assert_tensor_equal

    def mode(name: str, knob: str) -> Callable[[Arrays, Arrays], Agrees]:
        def compare(candidate: Arrays, reference: Arrays) -> Agrees:
            def agrees(limit: float) -> bool:
                options = {"atol": 0.0, "rtol": 0.0, "compare_mode": name, knob: limit}
                for key in {**reference, **candidate}:
                    assert_tensor_equal(candidate[key], reference[key], options)
                return True

            return agrees

        return compare

    knobs = {
        f"{name} {knob}": mode(name, knob)
        for name in ("mean", "strict")
        for knob in ("rtol", "atol")
    }
    return Tool(knobs, {"default 1e-7": ("mean rtol", 1e-7)})


def polygraphy() -> Tool:
    from polygraphy.comparator import (
        Comparator,
        CosineSimilarityCompareFunc,
        IterationResult,
        RunResults,
        SimpleCompareFunc,
        util,
    )
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    for name in ("log_output_stats", "log_compared_output_stats"):  # half of its time, and unread
        setattr(util, name, lambda *_, **__: None)

    def asked(how: Callable[[float], Any]) -> Callable[[Arrays, Arrays], Agrees]:
        def compare(candidate: Arrays, reference: Arrays) -> Agrees:
            results = RunResults()
            for side, arrays in (("candidate", candidate), ("reference", reference)):
                results.append((side, [IterationResult(arrays, runner_name=side)]))
            return lambda limit: bool(Comparator.compare_accuracy(results, compare_func=how(limit)))

        return compare

    def simple(statistic: str, *tolerances: str) -> Callable[[Arrays, Arrays], Agrees]:
        def how(limit: float) -> Any:
            limits = {"atol": 0.0, "rtol": 0.0, **dict.fromkeys(tolerances, limit)}
            return SimpleCompareFunc(check_error_stat=statistic, fail_fast=True, **limits)

        return asked(how)

    knobs = {
        "elementwise": simple("elemwise", "atol", "rtol"),
        "elementwise atol": simple("elemwise", "atol"),
        "elementwise rtol": simple("elemwise", "rtol"),
        "mean": simple("mean", "atol", "rtol"),
        "1 - cosine": asked(lambda limit: CosineSimilarityCompareFunc(1.0 - limit, fail_fast=True)),
    }
    return Tool(knobs, {"default 1e-5": ("elementwise", 1e-5)})


def assert_close() -> Tool:
    import torch

    def within(
        limits: Callable[[float], Mapping[str, float]],
    ) -> Callable[[Arrays, Arrays], Agrees]:
        def compare(candidate: Arrays, reference: Arrays) -> Agrees:
            sides = [
                {k: torch.from_numpy(np.array(a)) for k, a in arrays.items()}
                for arrays in (candidate, reference)
            ]

            def agrees(limit: float) -> bool:
                torch.testing.assert_close(*sides, **limits(limit))
                return True

            return agrees

        return compare

    knobs = {
        "defaults": within(lambda _: {}),  # of each dtype; no knob to turn
        "atol": within(lambda limit: {"rtol": 0.0, "atol": limit}),
        "rtol": within(lambda limit: {"rtol": limit, "atol": 0.0}),
    }
    return Tool(knobs, {"default": ("defaults", 0.0)})


def cosine() -> Tool:
    import torch

    def compare(candidate: Arrays, reference: Arrays) -> Agrees:
        least = 1.0
        for name in {**reference, **candidate}:
            c, r = (torch.from_numpy(np.array(a[name])).double() for a in (candidate, reference))
            if c.any() or r.any():  # two arrays of zeros are alike, but have no angle
                similar = torch.nn.functional.cosine_similarity(c.reshape(-1), r.reshape(-1), 0)
                least = min(least, float(similar)) if similar == similar else -1.0
        return lambda limit: least >= 1.0 - limit

    return Tool(
        {"1 - cosine": compare}, {"0.99": ("1 - cosine", 1e-2), "0.9999": ("1 - cosine", 1e-4)}
    )


# name -> (how it is opened, the distribution that it comes in)
TOOLS: Mapping[str, tuple[Callable[[], Tool], str]] = {
    "reprod_log": (reprod_log, "reprod-log"),
    "padiff": (padiff, "padiff"),
    "polygraphy": (polygraphy, "polygraphy"),
    "assert_close": (assert_close, "torch"),
    "cosine": (cosine, "torch"),
}


def answer(tool: Tool, candidate: Arrays, reference: Arrays) -> dict[str, Any]:
    """{"usual": {name: agrees}, "tightest": {knob: index in GRID, its length where at none}}."""
    asked = {name: _asking(compare, candidate, reference) for name, compare in tool.knobs.items()}
    usual = {name: asked[knob](limit) for name, (knob, limit) in tool.usual.items()}
    return {"usual": usual, "tightest": {name: tightest(agrees) for name, agrees in asked.items()}}


def _asking(
    compare: Callable[[Arrays, Arrays], Agrees], candidate: Arrays, reference: Arrays
) -> Agrees:
    """The comparison at a threshold, False where the tool stops with an error."""
    try:
        agrees = compare(candidate, reference)
    except Exception:
        return lambda _: False

    def asked(limit: float) -> bool:
        try:
            return bool(agrees(limit))
        except Exception:
            return False

    return asked


def tightest(agrees: Agrees) -> int:
    """The first place in GRID from which on they agree; its length where they never do."""
    low, high = 0, len(GRID)
    while low < high:
        middle = (low + high) // 2
        if agrees(GRID[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def read(path: str) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def answers(name: str, jobs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """{"version", "answers"}, or why there are none: {"missing"} or {"broken"}."""
    opener, distribution = TOOLS[name]
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return {"missing": f"{distribution} is not installed"}
    try:
        tool = opener()
    except Exception as error:
        return {"version": version, "broken": f"{type(error).__name__}: {error}".splitlines()[0]}
    found = [answer(tool, read(candidate), read(reference)) for reference, candidate in jobs]
    return {"version": version, "answers": found}


def main(name: str, jobs: str, out: str) -> None:
    given = json.loads(Path(jobs).read_text(encoding="utf-8"))
    place = Path(out).resolve()
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        os.chdir(scratch)  # some write their logs beside wherever they are
        found = answers(name, given)
    place.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
