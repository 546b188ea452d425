"""The work of a comparison in tasks that any process can do, and what comes back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from modelparity.compare.figures import Array, Partial, first, join
from modelparity.compare.read import PART, PART_CHUNKS, chunks, mapped, size
from modelparity.compare.sweep import CHUNK, Room, Want, beyond_chunk, measure_chunk, room
from modelparity.errors import InputError
from modelparity.formats import Tensor, open_tensors

TOGETHER = 16 * PART  # elements of a task, if it can be cut so
SMALL = 1_000  # tensors of a task

Tensors = Mapping[str, Tensor]


class Files(NamedTuple):
    """What is compared: paths that every worker can open, or tensors of this process.

    run  tells this comparison from others: a process opens each path once for each
    """

    reference: Path | Tensors
    candidate: Path | Tensors
    truth: Path | Tensors | None = None
    run: str = ""


class Job(NamedTuple):
    """One comparison: the candidate's tensor with the reference's, or both with the truth's.

    again  count only what lies beyond `want.atol`
    """

    reference: str
    candidate: str
    truth: str | None
    transpose: bool
    want: Want
    again: bool = False


class Piece(NamedTuple):
    """Parts `first` to `last` (excluded) of the job with this number."""

    number: int
    job: Job
    first: int
    last: int


Task = tuple[Piece, ...]
# One row a part: the candidate's figures, then where there is a truth the reference's own.
Rows = list[tuple[Partial, ...]]
Count = tuple[int, int]  # elements beyond, and the first of them
Result = list[Rows | list[Count]]


@lru_cache(maxsize=4)
def _opened(path: Path, run: str) -> Tensors:
    del run
    return open_tensors(path)


def tensors(source: Path | Tensors | None, run: str) -> Tensors:
    """The tensors of a file, opened once a run; InputError where it cannot be read."""
    if source is None:
        return {}
    return _opened(source, run) if isinstance(source, Path) else source


def close() -> None:
    """Forget the files that this process has opened."""
    _opened.cache_clear()


def _both(files: Files) -> tuple[Tensors, Tensors]:
    return tensors(files.reference, files.run), tensors(files.candidate, files.run)


def plan(files: Files, jobs: Sequence[tuple[int, Job, int, int]], *, cut: bool) -> list[Task]:
    """Tasks, in order, of (number, job, first part, last part).

    cut  spread tensors over tasks where any part of their files can be reached at once
    """
    tasks: list[Task] = []
    pending: list[Piece] = []
    held = 0
    reference, candidate = _both(files)
    for number, job, begin, end in jobs:
        step = max(1, end - begin)
        if cut and end - begin > TOGETHER // PART and not job.transpose:
            found = reference[job.reference], candidate[job.candidate]
            if all(mapped(t) is not None for t in found) and job.truth is None:
                step = TOGETHER // PART
        elements = size(reference[job.reference])
        for low in range(begin, end, step):
            high = min(end, low + step)
            pending.append(Piece(number, job, low, high))
            held += min(elements, (high - low) * PART)
            if held >= TOGETHER or len(pending) >= SMALL:
                tasks.append(tuple(pending))
                pending, held = [], 0
    return [*tasks, tuple(pending)] if pending else tasks


def run(files: Files, task: Task) -> Result:
    """Do a task: for each of its pieces, one row a part."""
    reference, candidate = _both(files)
    truth = tensors(files.truth, files.run)
    at = room()
    results: Result = []
    with np.errstate(all="ignore"):
        for piece in task:
            job = piece.job
            ours, given = candidate[job.candidate], reference[job.reference]
            known = truth[job.truth] if job.truth is not None else None
            sides = [chunks(ours, piece.first, piece.last)]
            sides.append(chunks(given, piece.first, piece.last, transpose=job.transpose))
            if known is not None:
                sides.append(chunks(known, piece.first, piece.last, transpose=job.transpose))
            work = _again if job.again else _figures
            results.append(work(_facing(job, sides), piece.first * PART, job.want, at))
    return results


def _facing(job: Job, sides: Sequence[Iterator[Array]]) -> Iterator[tuple[Array, ...]]:
    for row in zip_longest(*sides):
        known = [chunk for chunk in row if chunk is not None]
        if len(known) < len(row) or len({chunk.size for chunk in known}) != 1:
            raise InputError(f"{job.reference}: its file holds less than its header promises")
        yield tuple(known)


def _figures(rows: Iterable[tuple[Array, ...]], start: int, want: Want, at: Room) -> Rows:
    found: Rows = []
    held: list[tuple[Partial, ...]] = []
    for row in rows:
        *judged, base = row  # with a truth, both sides are measured against it
        held.append(tuple(measure_chunk(side, base, start, want, at) for side in judged))
        start += base.size
        if len(held) == PART_CHUNKS:
            found.append(_joined(held))
            held = []
    return [*found, _joined(held)] if held else found


def _joined(rows: Sequence[tuple[Partial, ...]]) -> tuple[Partial, ...]:
    return tuple(join(column) for column in zip(*rows, strict=True))


def _again(rows: Iterable[tuple[Array, ...]], start: int, want: Want, at: Room) -> list[Count]:
    found: list[Count] = []
    for place, row in enumerate(rows):
        count = beyond_chunk(row[0], row[-1], start + place * CHUNK, want, at)
        if place % PART_CHUNKS:
            before = found.pop()
            count = (before[0] + count[0], first((before[1], count[1])))
        found.append(count)
    return found
