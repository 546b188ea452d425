"""The two classes of reprod_log 1.0.1: a script changes its import and keeps working.

Names, methods, log lines and figures are that package's. What it lets pass is not: NaN, another
shape or dtype, a missing name, nothing to compare. Files are read without unpickling anything but
arrays and plain containers.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelparity.compare.read import whole_array
from modelparity.compat.statistics import Array, Gap, gap
from modelparity.errors import InputError
from modelparity.formats import Tensor, open_nested
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
        self.diff_dict: dict[Any, Any] = {}
        self._found: dict[Any, Any] = {}

    def load_info(self, path: str | Path) -> dict[Any, Any]:
        """The arrays of a file by name, in dictionaries within dictionaries as they were saved.

        AssertionError where there is no file, InputError where it cannot be read.
        """
        if not Path(path).exists():
            raise AssertionError(f"{path} does not exist")
        return _loaded(open_nested(Path(path)))

    def compare_info(self, info1: Mapping[Any, Any], info2: Mapping[Any, Any]) -> None:
        """Measure the second against the first, which is the reference."""
        if not isinstance(info1, Mapping) or not isinstance(info2, Mapping):
            raise AssertionError("compare_info expects two dictionaries of arrays")
        self._found = _compare(info1, info2, "")
        self.diff_dict = _figures(self._found)

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
        passed = [_tell(say, methods, limit, *leaf) for leaf in _walk(say, self._found, "")]
        if not passed:
            say("nothing was compared")
            return Outcome.INCONCLUSIVE
        say(f"diff check {'passed' if all(passed) else 'failed'}")
        return Outcome.ALIGNED if all(passed) else Outcome.DIVERGED


def _loaded(tensors: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        name: whole_array(held) if isinstance(held, Tensor) else _loaded(held)
        for name, held in tensors.items()
    }


def _compare(first: Mapping[Any, Any], second: Mapping[Any, Any], outer: str) -> dict[Any, Any]:
    """A Gap for each name of either, in dictionaries as they are."""
    found: dict[Any, Any] = {}
    for name in dict.fromkeys([*first, *second]):
        a, b, full = first.get(name), second.get(name), f"{outer}{name}"
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found[name] = _compare(a, b, f"{full}.")
        elif a is None or b is None:
            lacking = "first" if a is None else "second"
            found[name] = Gap(problem=f"the {lacking} file has no such name")
        elif isinstance(a, Mapping) or isinstance(b, Mapping):
            found[name] = Gap(problem="a dictionary against an array")
        else:
            found[name] = _gap(_array(a, full), _array(b, full))
    return found


def _array(value: Any, name: str) -> Array:
    if not isinstance(value, np.ndarray | np.generic):
        raise InputError(f"compare_info: {name}: no array, but {type(value).__name__}")
    return np.asarray(value)


def _gap(reference: Array, candidate: Array) -> Gap:
    if reference.shape != candidate.shape:
        return Gap(problem=f"shape {reference.shape} against {candidate.shape}")
    found = gap(reference, candidate)
    if reference.dtype != candidate.dtype:
        problem = f"dtype {reference.dtype} against {candidate.dtype}"
        return found._replace(problem="; ".join(filter(None, (problem, found.problem))))
    return found


def _figures(found: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        name: {method: getattr(held, method) for method in ("mean", "max", "min")}
        if isinstance(held, Gap)
        else _figures(held)
        for name, held in found.items()
    }


def _walk(
    say: Callable[[str], None], found: Mapping[Any, Any], indent: str
) -> Iterator[tuple[str, Gap]]:
    """(indent, gap) of each array, after its name and those of the dictionaries that hold it."""
    for name, held in found.items():
        if isinstance(held, Gap):
            say(f"{indent}{clean(name)}: ")
            yield indent, held
        else:
            say(f"{indent}{clean(name)}")
            yield from _walk(say, held, f"{indent}\t")


def _tell(
    say: Callable[[str], None], methods: Sequence[str], limit: float, indent: str, found: Gap
) -> bool:
    passed = not found.problem
    for method in methods:
        value = getattr(found, method)
        # Within is accepted; NaN, and an int8 that became its own negative, are not.
        passed = passed and 0.0 <= float(value) <= limit
        say(f"{indent}\t{method} diff: check passed: {passed}, value: {value}")
    if found.problem:
        say(f"{indent}\t{found.problem}")
    return passed


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
