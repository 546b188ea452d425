"""Mistakes in data: rows that are missing, in another order, cut, or in other batches."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from modelparity.diagnose import Hint
from modelparity.diagnose import arrays as two_arrays

Array = np.ndarray[Any, Any]
Batch = dict[str, Array]  # field -> (B, ...)

SHOWN = 3  # numbers


@dataclass(frozen=True)
class Rows:
    """All rows of some batches: per field one array a row, without padding at its end."""

    fields: dict[str, list[Array]]
    sizes: tuple[int, ...]  # rows of each batch
    widths: tuple[int, ...] = ()  # positions of each batch, with padding

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
    sizes, widths = [], []
    for batch in batches:
        sizes.append(min((len(array) for array in batch.values() if array.ndim), default=0))
        widths.append(
            max((array.shape[1] for array in batch.values() if array.ndim > 1), default=1)
        )
        for field, array in batch.items():
            fields.setdefault(field, []).extend(_trimmed(row) for row in array)
    if len({len(found) for found in fields.values()}) != 1:
        return None
    return Rows(fields, tuple(sizes), tuple(widths))


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
        text = f"the same {len(ours)} rows in the same order, in batches"
        if candidate.sizes != reference.sizes:
            sizes = _listed(candidate.sizes), _listed(reference.sizes)
            yield Hint(f"{text} of {sizes[0]} in place of {sizes[1]}")
        elif candidate.widths != reference.widths:
            widths = _listed(candidate.widths), _listed(reference.widths)
            yield Hint(f"{text} padded to a width of {widths[0]} in place of {widths[1]}")
        return
    if Counter(theirs) == Counter(ours):
        yield from _reordered(candidate, reference)
    elif len(theirs) != len(ours):
        yield from _counted(theirs, ours)
    elif not set(theirs) - set(ours):
        yield from _repeated(candidate, reference)
    else:
        yield from list(_by_field(candidate, reference)) or _cut(candidate, reference)


def _cut(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    """Rows that end early and come in another order; what stands last may end each."""
    for field, ours in reference.fields.items():
        theirs = candidate.fields[field]
        most, due = (max((row.size for row in rows), default=0) for rows in (theirs, ours))
        starts = [Counter(row[: most - 1].tobytes() for row in rows) for rows in (theirs, ours)]
        if 1 < most < due and starts[0] == starts[1]:
            yield Hint(f"rows of {field} are cut at {most} positions; the longest has {due}")


def _listed(numbers: Iterable[int]) -> str:
    distinct = list(map(str, dict.fromkeys(numbers)))
    return ", ".join(distinct[:SHOWN]) + (" and others" if len(distinct) > SHOWN else "")


def _repeated(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    """As many rows, and none that is not the reference's: some come too often."""
    theirs, ours = Counter(candidate.keys), Counter(reference.keys)
    count, lost = (theirs - ours).total(), len(ours.keys() - theirs.keys())
    text = f"{count} of {len(reference.keys)} rows are repeated in place of others"
    yield Hint(f"{text}; {lost} never come")
    found, expected = _sets(candidate), _sets(reference)
    for number, rows in enumerate(found):
        if number < len(expected) and rows != expected[number] and rows in expected:
            yield Hint(f"batch {number} holds the rows of batch {expected.index(rows)}")
            return


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
        values = [row.tolist()[0] for row in found if row.size == 1]
        kinds = (f"the length of {field}", lengths), (field, values)
        for what, column in kinds:
            if len(column) != len(found) or len(set(column)) <= 2:
                continue
            ordered = sorted(column)
            if column in (ordered, ordered[::-1]):
                way = "" if column == ordered else ", the largest first"
                yield Hint(f"the candidate's rows come sorted by {what}{way}")
                return


def _sets(found: Rows) -> list[Counter[tuple[bytes, ...]]]:
    starts = np.cumsum((0, *found.sizes))
    return [Counter(found.keys[a:b]) for a, b in pairwise(starts)]


def _counted(theirs: list[tuple[bytes, ...]], ours: list[tuple[bytes, ...]]) -> Iterator[Hint]:
    fewer, gap = len(theirs) < len(ours), abs(len(ours) - len(theirs))
    what = f"{gap} of {len(ours)} rows are missing" if fewer else f"there are {gap} more rows"
    short, long = (theirs, ours) if fewer else (ours, theirs)
    if len(set(short)) == len(short) and set(short) == set(long):
        yield Hint(f"{what}, those that come more than once" if fewer else f"{what}, repeated ones")
    elif short == long[: len(short)]:
        again = not fewer and not set(long) - set(short)
        yield Hint(f"{what}, the last" + (", which came before" if again else ""))
    elif short == long[gap:]:
        yield Hint(f"{what}, the first")
    elif not Counter(short) - Counter(long):
        yield Hint(f"{what}, the others are there in another order or batch")
    else:
        yield Hint(f"{what}, and others differ")


def _by_field(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    moved = _moved(candidate, reference)
    if moved:
        if _alike_but(moved, candidate, reference):
            yield _in_another_order(moved)
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
            yield from (h for h in two_arrays.explain(candidate=c, reference=r) if h.before)


def sorted_otherwise(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    """Fields in another order beside others that hold something else, which may be why."""
    moved = _moved(candidate, reference)
    if moved and not _alike_but(moved, candidate, reference):
        yield _in_another_order(moved)


def _moved(candidate: Rows, reference: Rows) -> list[str]:
    return [field for field in reference.fields if _reordered_alone(candidate, reference, field)]


def _alike_but(moved: list[str], candidate: Rows, reference: Rows) -> bool:
    """Whether all other fields agree, row by row."""
    return all(
        np.array_equal(c, r)
        for field in reference.fields
        if field not in moved
        for c, r in zip(candidate.fields[field], reference.fields[field], strict=True)
    )


def _in_another_order(fields: list[str]) -> Hint:
    text = "the rows come in another order"
    return Hint(f"{text}: {' and '.join(fields)} hold the same values in all, row by row others")


def counted(candidate: Rows, reference: Rows) -> Iterator[Hint]:
    """In how many rows each field differs, where nothing says why."""
    for field in reference.fields if len(candidate.keys) == len(reference.keys) else ():
        pairs = zip(candidate.fields.get(field, ()), reference.fields[field], strict=False)
        wrong = sum(not np.array_equal(c, r) for c, r in pairs)
        if wrong:
            yield Hint(f"{field} differs in {wrong} of {len(reference.keys)} rows")


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
    late = {_late(c, r) for c, r in wrong}
    if None not in late:
        if len(late) == 1:
            places = "place" if late == {1} else "places"
            return f"they come {late.pop()} {places} too late"
        return "zeros stand before them: padded at the left, not at the right"
    if all(c.size > r.size and np.array_equal(c[: r.size], r) for c, r in wrong):
        return _lengths("they go on for longer", wrong)
    if all(c.size < r.size and np.array_equal(c, r[r.size - c.size :]) for c, r in wrong):
        return _lengths("their beginning is missing", wrong)
    if all(c.size == r.size and np.array_equal(c[:-1], r[:-1]) for c, r in wrong):
        longest = {r.size for _, r in wrong}
        cut = f", and all are {longest.pop()} long: cut" if len(longest) == 1 else ""
        return f"only their last value differs{cut}"
    return ""


def _late(c: Array, r: Array) -> int | None:
    """How many zeros stand before what the reference has; None where there is anything else."""
    more = c.size - r.size
    fits = more > 0 and np.array_equal(c[more:], r) and not c[:more].any()
    return more if fits else None


def _lengths(text: str, wrong: list[tuple[Array, Array]]) -> str:
    theirs, ours = ({pair[side].size for pair in wrong} for side in (0, 1))
    return f"{text}, at {max(theirs)} in place of {max(ours)}" if len(ours | theirs) < 4 else text
