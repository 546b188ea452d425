"""Record a side, or both: which process records what, and when it can begin."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from modelparity.check import check
from modelparity.crew import Crew, Due, Progress, Start
from modelparity.model import Outcome
from modelparity.recording import read
from modelparity.steps import BESIDE, START, STEPS, equivalence
from modelparity.unfinished import leaving_nothing, make, put_in_place, unfinished

MOST = 8  # threads of record_both: one for each process, and for what follows it


@dataclass(frozen=True)
class SideOrder:
    """What one side's process is asked to record."""

    case: str
    role: str
    out: Path
    steps: tuple[int, ...]
    given: Path | None = None
    module: str = ""
    python: str = ""
    fault: str = ""
    changes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()  # only these of step 10's independent trainings
    beside: tuple[str, ...] = ()  # only these recordings that steps need of the reference alone

    def command(self) -> list[str]:
        """The command line of the side's process."""
        options = ["--side", self.role, "--out", str(self.out)]
        options += ["--steps", ",".join(map(str, self.steps))]
        for name, value in (("given", self.given), ("module", self.module), ("fault", self.fault)):
            if value:
                options += [f"--{name}", str(value)]
        for change in self.changes:
            options += ["--set", change]
        if self.seeds:
            options += ["--seeds", ",".join(map(str, self.seeds))]
        if self.beside:
            options += ["--beside", ",".join(self.beside)]
            options += ["--partial", str(unfinished(self.out))]  # which who starts it removes
        module = "modelparity.seeds" if self.seeds else "modelparity.process"
        return [self.python or sys.executable, "-m", module, self.case, *options]


def look(order: SideOrder) -> None:
    """Find out whether the side can be loaded in its interpreter; errors as of `record_side`."""
    Crew(lambda text, done, total: None).hear(order.role, [*order.command(), "--look"])


def record_both(reference: SideOrder, candidate: SideOrder, progress: Progress) -> None:
    """Record both sides, the candidate's steps as soon as it can be given what they need.

    What steps need of the reference alone is recorded as far as it takes to judge them. Errors as
    of `record_side`; the first ends both, and neither replaces what was there.
    """
    crew = Crew(progress)
    with _whole(reference) as ours, _whole(candidate) as theirs, crew.at_work(MOST) as start:
        recorded = _start_steps(crew, start, ours)
        first = start(lambda: _record_beside(crew, ours), recorded[1:])
        done = _start_steps(crew, start, replace(theirs, given=ours.out), recorded)
        start(partial(_record_more, crew, ours, theirs), [first, *done])


def record_side(order: SideOrder, progress: Progress) -> None:
    """Record one side.

    UsageError for an interpreter that cannot run it; InputError with the recorder's own line where
    it could not use what it was given, or with what is known of its death.
    """
    crew = Crew(progress)
    with _whole(order) as hidden, crew.at_work(MOST) as start:
        recorded = _start_steps(crew, start, hidden)
        if order.role == "reference":  # what will be judged by it is not known
            start(lambda: _record_beside(crew, hidden, every=True), recorded[1:])


def side_by_side(crew: Crew, orders: Sequence[SideOrder], at_once: int) -> None:
    """Run these processes, so many at once; the first that fails ends all.

    Errors as of `record_side`.
    """
    with crew.at_work(at_once) as start:
        for order in orders:
            start(partial(crew.hear, order.role, order.command()), ())


def processes(out: Path) -> int:
    """How many processes the cores are enough for, on as many threads as a side recorded with."""
    cores = os.cpu_count() or 1
    environment = read(out / START.NAME).manifest.get("environment", {})
    try:
        return max(1, cores // max(1, int(environment.get("threads", 1))))
    except (ValueError, TypeError):
        return 1


@contextmanager
def _whole(order: SideOrder) -> Iterator[SideOrder]:
    """The order for a hidden directory, which gets its own name when the block has gone well."""
    parts = unfinished(order.out)
    with leaving_nothing(parts):
        make(parts)
        yield replace(order, out=parts / "whole")
        put_in_place(parts / "whole", order.out, kept=equivalence.NAME)


def _start_steps(
    crew: Crew, start: Start, order: SideOrder, given: Sequence[Due] = ()
) -> tuple[Due, Due]:
    """Record a side's steps, in two processes where that is quicker.

    Returns when the short ones are recorded, and when all are; `given` is that of what is given.
    """
    short = tuple(n for n in order.steps if n not in BESIDE)
    long = tuple(n for n in order.steps if n in BESIDE)
    if not (short and long):
        done = start(lambda: _record(crew, order), given)
        return done, done
    first = replace(order, steps=short)
    second = replace(order, steps=long, out=order.out.with_name("long"))
    ready = Due()

    def record_first() -> None:
        try:
            _record(crew, first, lambda: ready.set_result(None))
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    def record_second() -> None:
        copy = unfinished(second.out) / START.NAME
        try:
            shutil.copytree(unfinished(first.out) / START.NAME, copy)
        except OSError:  # the first has ended meanwhile: well, or with this error
            recorded.result()
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(first.out / START.NAME, copy)
        _record(crew, second)

    def join() -> None:
        for number in long:
            name = STEPS[number - 1].NAME
            (second.out / name).rename(first.out / name)

    recorded = start(record_first, given[:1])
    return recorded, start(join, [recorded, start(record_second, [*given[1:], ready])])


def _record(crew: Crew, order: SideOrder, ready: Callable[[], None] = lambda: None) -> None:
    """Run one recorder to its end, whatever that is; nothing half-written is left.

    ready  called when the parameters to start from are recorded
    """
    hidden = unfinished(order.out)
    with leaving_nothing(hidden):
        crew.hear(order.role, [*order.command(), "--partial", str(hidden)], ready)


def _record_beside(crew: Crew, order: SideOrder, *, every: bool = False) -> None:
    """Record what the steps need of the reference alone: as many as the cores take, or all."""
    names = _left_beside(order)
    at_once = min(processes(order.out), len(names))
    with leaving_nothing(unfinished(order.out)):
        make(unfinished(order.out))
        beside = [names[n::at_once] if every else [names[n]] for n in range(at_once)]
        orders = [replace(order, beside=tuple(some)) for some in beside]
        side_by_side(crew, orders, at_once)


def _left_beside(order: SideOrder) -> list[str]:
    """What its steps may need of the reference alone and is not recorded, in order."""
    names = [part.NAME for number in order.steps for part in BESIDE.get(number, ())]
    return [name for name in names if not (order.out / name).exists()]


def _record_more(crew: Crew, ours: SideOrder, theirs: SideOrder) -> None:
    """Record the rest of it too, as long as the outcome is open, for whatever reason."""
    steps = tuple(n for n in ours.steps if n in BESIDE)
    while _left_beside(ours):
        if check(ours.out, theirs.out, steps=steps).outcome is not Outcome.INCONCLUSIVE:
            return
        _record_beside(crew, ours)
