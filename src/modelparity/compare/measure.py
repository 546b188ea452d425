"""Sweep over all pairs of tensors, judge them, and count what lies beyond."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelparity.compare.facts import whole
from modelparity.compare.figures import Figures, first, join
from modelparity.compare.judge import Noise, allowed_peak, judge
from modelparity.compare.names import Facing
from modelparity.compare.read import laid_shape, parts
from modelparity.compare.result import Compared
from modelparity.compare.summary import index, summary
from modelparity.compare.sweep import Want
from modelparity.compare.tasks import Count, Files, Job, Piece, Rows, Task, plan
from modelparity.compare.tolerances import Elementwise, Limit
from modelparity.compare.ulps import epsilon
from modelparity.formats import Tensor
from modelparity.model import Outcome

# What does tasks: this process, others beside it, a cluster.
Doing = Callable[[Files, Sequence[Task]], Iterator[list[Rows | list[Count]]]]


@dataclass(frozen=True, slots=True)
class Match:
    """Two tensors that can be measured, and by what they are judged.

    truth  the name of their truth; mistyped  what is wrong with the candidate's dtype, else ""
    """

    facing: Facing
    reference: Tensor
    exact: bool
    limit: Limit
    truth: str | None
    mistyped: str


@dataclass(frozen=True, slots=True)
class _Measured:
    """A match with its figures, and the parts in which something lies beyond, to be counted."""

    match: Match
    figures: Figures
    own: Figures | None
    limit: Limit | Noise
    low: int = 0
    high: int = 0
    allowed: float = math.inf


def measure(
    files: Files, matches: Sequence[Match], do: Doing, *, want: Want, cut: bool
) -> list[Compared]:
    """One Compared for each match, in their order.

    want  the figures that are asked for, of any dtype and without limits
    cut   spread large tensors over tasks, for more than one worker
    """
    jobs = [
        (number, _job(match, want), 0, parts(match.reference))
        for number, match in enumerate(matches)
    ]
    tasks = plan(files, jobs, cut=cut)
    measured: list[_Measured] = []
    rows: Rows = []
    for piece, result in _pieces(files, tasks, do):
        rows += result
        match = matches[piece.number]
        if piece.last == parts(match.reference):
            measured.append(_figures(match, rows))
            rows = []
    counted = _count(files, measured, do, cut=cut)
    return [_compared(m, counted.get(number)) for number, m in enumerate(measured)]


def _pieces(files: Files, tasks: Sequence[Task], do: Doing) -> Iterator[tuple[Piece, Any]]:
    for task, results in zip(tasks, do(files, tasks), strict=True):
        yield from zip(task, results, strict=True)


def _job(match: Match, want: Want) -> Job:
    dtype = match.reference.dtype
    want = want._replace(dtype="" if whole(dtype) else dtype)
    if isinstance(match.limit, Elementwise) and match.truth is None:
        want = want._replace(rtol=match.limit.rtol, atol=match.limit.atol)
    facing = match.facing
    return Job(facing.reference, facing.candidate, match.truth, facing.transpose, want)


def _figures(match: Match, rows: Rows) -> _Measured:
    shape = laid_shape(match.reference.shape, match.facing.transpose)
    dtype = match.reference.dtype
    columns = list(zip(*rows, strict=True))
    unit = "" if whole(dtype) else dtype
    figures, *rest = (summary(join(c), shape, dtype=unit, exact=match.exact) for c in columns)
    own = rest[0] if rest else None
    limit: Limit | Noise = match.limit if own is None else Noise(epsilon(dtype), own)
    if isinstance(limit, Elementwise):
        beyond = join(columns[0])
        place = index(beyond.first_beyond, shape)
        figures = replace(figures, beyond=beyond.beyond, first_beyond=place)
    allowed = allowed_peak(limit, figures)
    far = [
        number
        for number, part in enumerate(columns[0])
        if allowed < math.inf and (part.unlike or not part.max_abs <= allowed)
    ]
    if not far:
        if allowed < math.inf:
            figures = replace(figures, beyond=0)
        return _Measured(match, figures, own, limit)
    return _Measured(match, figures, own, limit, far[0], far[-1] + 1, allowed)


def _count(
    files: Files, measured: Sequence[_Measured], do: Doing, *, cut: bool
) -> dict[int, Count]:
    """How many elements lie beyond what is allowed, which only the whole tensor has told.

    Only the parts from the first to the last that holds one are read again.
    """
    jobs = []
    for number, m in enumerate(measured):
        if m.high > m.low:
            job = _job(m.match, Want())._replace(want=Want(atol=m.allowed), again=True)
            jobs.append((number, job, m.low, m.high))
    counted: dict[int, Count] = {}
    for piece, counts in _pieces(files, plan(files, jobs, cut=cut), do):
        before = counted.get(piece.number, (0, -1))
        total = before[0] + sum(count for count, _ in counts)
        counted[piece.number] = total, first((before[1], *(place for _, place in counts)))
    return counted


def _compared(measured: _Measured, counted: Count | None) -> Compared:
    match, figures = measured.match, measured.figures
    reference, facing = match.reference, match.facing
    if counted is not None:
        shape = laid_shape(reference.shape, facing.transpose)
        place = index(counted[1], shape)
        figures = replace(figures, beyond=counted[0], first_beyond=place)
    finding = judge(facing.reference, figures, measured.limit)
    if match.mistyped:
        message = "; ".join(filter(None, (match.mistyped, finding.message)))
        finding = replace(finding, outcome=Outcome.DIVERGED, message=message, ratio=math.inf)
    return Compared(
        finding=finding,
        candidate=facing.candidate,
        paired=facing.rule,
        dtype=reference.dtype,
        shape=reference.shape,
        limit=measured.limit.source,
        figures=figures,
        own=measured.own,
    )


def is_exact(reference: Tensor, candidate: Tensor) -> bool:
    """Whether both hold whole numbers or bools, which are compared as they are."""
    return whole(reference.dtype) and whole(candidate.dtype)
