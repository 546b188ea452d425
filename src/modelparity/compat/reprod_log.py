"""The two classes of reprod_log 1.0.1: a script changes its import and keeps working.

Names, methods, log lines and figures are that package's. What it lets pass is not: NaN, another
shape or dtype, a missing name, nothing to compare. Files are read without unpickling anything but
arrays and plain containers.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelparity.compare.read import whole_array
from modelparity.compat.statistics import Array, Gap, gap
from modelparity.errors import InputError
from modelparity.formats import open_tensors
from modelparity.model import Outcome
from modelparity.report.text import clean

METHODS = ("min", "max", "mean")
THRESHOLD = 1e-6  # that package's
_LINE = "[%(asctime)s] %(name)s %(levelname)s: %(message)s"


class ReprodLogger:
    """Named arrays to be saved in one file."""

    def __init__(self) -> None:
        self._data: dict[str, Array] = {}

    @property
    def data(self) -> dict[str, Array]:
        """The arrays by name."""
        return self._data

    def add(self, key: str, val: Array) -> None:
        """Keep an array under a name; AssertionError for anything but a NumPy array."""
        if not isinstance(val, np.ndarray):
            raise AssertionError(
                f"{key}: expected a NumPy array, not {type(val).__name__}: "
                "tensor.detach().cpu().numpy() in PyTorch, tensor.numpy() in PaddlePaddle"
            )
        self._data[key] = val

    def remove(self, key: str) -> None:
        """Forget a name; says so where it is not known."""
        if self._data.pop(key, None) is None:
            print(f"{key} is not in {self._data.keys()}")

    def clear(self) -> None:
        """Forget all names."""
        self._data.clear()

    def save(self, path: str | Path) -> None:
        """Write a file that reprod_log loads too; `.npy` is added where it lacks."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.array(self._data, dtype=object))


class ReprodDiffHelper:
    """Compares two files of named arrays and writes the familiar log."""

    def __init__(self) -> None:
        self.diff_dict: dict[str, dict[str, Any]] = {}
        self._problems: dict[str, str] = {}

    def load_info(self, path: str | Path) -> dict[str, Array]:
        """The arrays of a file by name; AssertionError where there is none, InputError where it
        cannot be read.
        """
        if not Path(path).exists():
            raise AssertionError(f"{path} does not exist")
        return {name: whole_array(tensor) for name, tensor in open_tensors(Path(path)).items()}

    def compare_info(self, info1: Mapping[str, Array], info2: Mapping[str, Array]) -> None:
        """Measure the second against the first, which is the reference."""
        if not isinstance(info1, Mapping) or not isinstance(info2, Mapping):
            raise AssertionError("compare_info expects two dictionaries of arrays")
        self.diff_dict, self._problems = {}, {}
        first, second = _flat(info1), _flat(info2)
        for name in dict.fromkeys([*first, *second]):
            found = _compare(first.get(name), second.get(name))
            self.diff_dict[name] = {m: getattr(found, m) for m in ("mean", "max", "min")}
            if found.problem:
                self._problems[name] = found.problem

    def report(
        self,
        diff_method: str | Sequence[str] = "mean",
        diff_threshold: float = THRESHOLD,
        path: str | Path | None = "./diff.txt",
    ) -> Outcome:
        """Log every name with its figures to standard output and to a file.

        diff_method  "mean", "max", "min", "all", or several of them in a list
        path         None: no file
        """
        methods = [diff_method] if isinstance(diff_method, str) else list(diff_method)
        if "all" in methods:
            methods = list(METHODS)
        if not methods or not set(methods) <= set(METHODS):
            raise AssertionError(f"diff_method {diff_method!r}: expected mean, max, min or all")
        logger = _logger(path)
        try:
            outcome = self._tell(logger.info, methods, diff_threshold)
        finally:
            for handler in logger.handlers:
                handler.close()
        return outcome

    def _tell(self, say: Callable[[str], None], methods: Sequence[str], limit: float) -> Outcome:
        failed = False
        for name, figures in self.diff_dict.items():
            say(f"{clean(name)}: ")
            passed = name not in self._problems
            for method in methods:
                # Within is accepted; NaN, and an int8 that became its own negative, are not.
                passed = passed and 0.0 <= float(figures[method]) <= limit
                say(f"\t{method} diff: check passed: {passed}, value: {figures[method]}")
            if name in self._problems:
                say(f"\t{self._problems[name]}")
            failed = failed or not passed
        if not self.diff_dict:
            say("nothing was compared")
            return Outcome.INCONCLUSIVE
        say(f"diff check {'failed' if failed else 'passed'}")
        return Outcome.DIVERGED if failed else Outcome.ALIGNED


def _flat(info: Mapping[str, Any], start: str = "") -> dict[str, Array]:
    """The arrays of nested dictionaries by their keys, joined with dots."""
    found: dict[str, Array] = {}
    for key, value in info.items():
        name = f"{start}{key}"
        if isinstance(value, Mapping):
            inner = _flat(value, f"{name}.")
        elif isinstance(value, np.ndarray | np.generic):
            inner = {name: np.asarray(value)}
        else:
            raise InputError(f"compare_info: {name}: no array, but {type(value).__name__}")
        for twice in found.keys() & inner.keys():
            raise InputError(f"compare_info: {twice} stands there twice")
        found |= inner
    return found


def _compare(reference: Array | None, candidate: Array | None) -> Gap:
    if reference is None or candidate is None:
        lacking = "first" if reference is None else "second"
        return Gap(problem=f"the {lacking} file has no such name")
    if reference.shape != candidate.shape:
        return Gap(problem=f"shape {reference.shape} against {candidate.shape}")
    found = gap(reference, candidate)
    if reference.dtype != candidate.dtype:
        problem = f"dtype {reference.dtype} against {candidate.dtype}"
        return found._replace(problem="; ".join(filter(None, (problem, found.problem))))
    return found


def _logger(path: str | Path | None) -> logging.Logger:
    """A logger of its own that names itself as reprod_log's does; nobody else's is touched."""
    logger = logging.Logger("root")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, "w", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_LINE, datefmt="%Y/%m/%d %H:%M:%S"))
        logger.addHandler(handler)
    return logger
