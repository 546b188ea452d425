"""assert_aligned: a comparison for tests."""

import os
from collections.abc import Sequence
from pathlib import Path

from modelparity.compare.compare import Options, compare
from modelparity.compare.live import tensors
from modelparity.compare.report.table import as_table
from modelparity.compare.tasks import Tensors
from modelparity.model import Outcome


def assert_aligned(
    *,
    candidate: object,
    reference: object,
    truth: object | None = None,
    tolerance: str | Sequence[str] = (),
    rename: str | Sequence[str] = (),
    transpose: str | Sequence[str] = (),
) -> None:
    """Raise AssertionError, with a table, unless the candidate is aligned with the reference.

    Each of the three is an array of NumPy or of a framework (on any device), a mapping or sequence
    of them, or the path of a file. What is inconclusive, such as nothing to compare, raises too.
    `tolerance`, `rename` and `transpose` are those of `modelparity diff`. UsageError for what is no
    array, InputError for a file that cannot be read.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    options = Options(
        rename=_several(rename), transpose=_several(transpose), tolerance=_several(tolerance)
    )
    found = compare(
        reference=_source(reference),
        candidate=_source(candidate),
        truth=None if truth is None else _source(truth),
        options=options,
    )
    if found.outcome is not Outcome.ALIGNED:
        raise AssertionError(as_table(found))


def _several(given: str | Sequence[str]) -> Sequence[str]:
    return (given,) if isinstance(given, str) else given


def _source(value: object) -> Path | Tensors:
    if isinstance(value, str | os.PathLike):
        return Path(value)
    return tensors(value)
