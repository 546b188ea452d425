"""Mistakes in data: rows that are missing, in another order, cut, or in other batches."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from modelparity.diagnose import Hint
from modelparity.diagnose import arrays as two_arrays

Array = np.ndarray[Any, Any]
Batch = dict[str, Array]  # field -> (B, ...)


@dataclass(frozen=True)
class Rows:
    """All rows of some batches: per field one array a row, without padding at its end."""

    fields: dict[str, list[Array]]
    sizes: tuple[int, ...]  # rows of each batch

    @cached_property
    def keys(self) -> list[tuple[bytes, ...]]:
        """One key a row, equal where all fields are."""
        columns = [[row.tobytes() for row in rows] for rows in self.fields.values()]
        return list(zip(*columns, strict=True))


def rows(batches: Sequence[Batch]) -> Rows | None:
    """The rows of batches, each without the zeros at its end; None where fields differ in length.

    Batches of unequal lengths pad their fields (B, T) unequally. Other padding than zeros is not
    known here, and stays part of a row.
    """
    fields: dict[str, list[Array]] = {}
    sizes = []
    for batch in batches:
        sizes.append(min((len(array) for array in batch.values() if array.ndim), default=0))
        for field, array in batch.items():
            fields.setdefault(field, []).extend(_trimmed(row) for row in array)
    if len({len(found) for found in fields.values()}) != 1:
        return None
    return Rows(fields, tuple(sizes))


def _trimmed(row: Array) -> Array:
    row = np.asarray(row)
    if row.ndim != 1:
        return np.atleast_1d(row)
    last = np.flatnonzero(row)
    kept = row[: int(last[-1]) + 1 if last.size else 0]
    return kept if row.dtype.kind == "f" else kept.astype(np.int64)


def explain(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    """What happened to the rows, the coarsest first."""
    if set(candidate.fields) != set(reference.fields):
        return
    theirs, ours = candidate.keys, reference.keys
    if theirs == ours:
        if candidate.sizes != reference.sizes:
            text = f"the same {len(ours)} rows in the same order, in batches of {_sizes(candidate)}"
            yield Hint(f"{text} in place of {_sizes(reference)}")
        return
    if Counter(theirs) == Counter(ours):
        yield from _reordered(candidate, reference)
    elif len(theirs) != len(ours):
        yield from _counted(theirs, ours)
    else:
        yield from _by_field(candidate, reference)


def _sizes(found: Rows) -> str:
    return ", ".join(map(str, dict.fromkeys(found.sizes)))


def _reordered(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    text = f"the same {len(reference.keys)} rows in another order"
    theirs, ours = _sets(candidate), _sets(reference)
    if candidate.keys == reference.keys[::-1]:
        text = f"the same {len(reference.keys)} rows in reverse order"
    elif theirs == ours:
        text = "each batch holds the same rows in another order"
    elif Counter(frozenset(s.items()) for s in theirs) == Counter(
        frozenset(s.items()) for s in ours
    ):
        text = "the same batches in another order"
    yield Hint(text)
    for field, found in candidate.fields.items():
        lengths = [len(row) for row in found]
        if len(set(lengths)) > 2 and lengths == sorted(lengths):
            yield Hint(f"the candidate's rows come sorted by the length of {field}")
            return


def _sets(found: Rows) -> list[Counter[tuple[bytes, ...]]]:
    starts = np.cumsum((0, *found.sizes))
    return [Counter(found.keys[a:b]) for a, b in pairwise(starts)]


def _counted(theirs: list[tuple[bytes, ...]], ours: list[tuple[bytes, ...]]) -> Iterator[Hint]:
    fewer, gap = len(theirs) < len(ours), abs(len(ours) - len(theirs))
    what = f"{gap} of {len(ours)} rows are missing" if fewer else f"there are {gap} more rows"
    short, long = (theirs, ours) if fewer else (ours, theirs)
    if short == long[: len(short)]:
        yield Hint(f"{what}, the last")
    elif short == long[gap:]:
        yield Hint(f"{what}, the first")
    elif not Counter(short) - Counter(long):
        yield Hint(f"{what}, the others are there in another order or batch")
    else:
        yield Hint(f"{what}, and others differ")


def _by_field(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    moved = [field for field in reference.fields if _reordered_alone(candidate, reference, field)]
    if moved:
        text = "the rows come in another order"
        yield Hint(f"{text}: {' and '.join(moved)} hold the same values in all, row by row others")
        return
    for field in reference.fields:
        pairs = list(zip(candidate.fields[field], reference.fields[field], strict=True))
        wrong = [(c, r) for c, r in pairs if not np.array_equal(c, r)]
        if not wrong:
            continue
        text = f"{field} differs in {len(wrong)} of {len(pairs)} rows"
        change = _change(wrong) if any(r.size > 1 for _, r in wrong) else ""
        if change:
            yield Hint(f"{text}: {change}")
            continue
        same = [(c, r) for c, r in pairs if c.shape == r.shape]
        if same:
            c, r = (np.concatenate(part) for part in zip(*same, strict=True))
            yield from two_arrays.explain(candidate=c, reference=r)
        yield Hint(text)


def _reordered_alone(candidate: Rows, reference: Rows, field: str) -> bool:
    """Whether a field holds the same rows in all, but not one by one."""
    theirs, ours = (
        [row.tobytes() for row in side.fields[field]] for side in (candidate, reference)
    )
    return theirs != ours and len(set(ours)) > 1 and Counter(theirs) == Counter(ours)


def _change(wrong: list[tuple[Array, Array]]) -> str:
    """What all differing rows have in common."""
    if all(c.size < r.size and np.array_equal(c, r[: c.size]) for c, r in wrong):
        return _lengths("they end early", wrong)
    if all(c.size > r.size and np.array_equal(c[: r.size], r) for c, r in wrong):
        return _lengths("they go on for longer", wrong)
    if all(c.size < r.size and np.array_equal(c, r[r.size - c.size :]) for c, r in wrong):
        return _lengths("their beginning is missing", wrong)
    if all(c.size == r.size and np.array_equal(c[:-1], r[:-1]) for c, r in wrong):
        longest = {r.size for _, r in wrong}
        cut = f", and all are {longest.pop()} long: cut" if len(longest) == 1 else ""
        return f"only their last value differs{cut}"
    if all(c.size != r.size for c, r in wrong):
        more = sum(c.size > r.size for c, r in wrong)
        return f"they are split otherwise, {more} of them longer"
    return ""


def _lengths(text: str, wrong: list[tuple[Array, Array]]) -> str:
    theirs, ours = ({pair[side].size for pair in wrong} for side in (0, 1))
    return f"{text}, at {max(theirs)} in place of {max(ours)}" if len(ours | theirs) < 4 else text
