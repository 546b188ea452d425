"""Start each side's recorder in a process of its own, in its own interpreter if wanted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import IO, Any

from modelparity.errors import InputError, UsageError
from modelparity.recording import read
from modelparity.steps import BESIDE, START, STEPS, equivalence
from modelparity.unfinished import leaving_nothing, make, put_in_place, unfinished

Progress = Callable[[str, int, int], None]

# OpenMP threads that wait must sleep: beside other work on the same cores, such as the other
# side's, spinning ones made training on two threads seven times slower.
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
# glibc gives the memory of large arrays back when they are freed; fetching its pages anew took a
# sixth of the processor time of steps 4, 6, 7 and 9 of a model with 23 million parameters.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}


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
    _hear(order, [*order.command(), "--look"], lambda text, done, total: None)


def record_both(reference: SideOrder, candidate: SideOrder, progress: Progress) -> None:
    """Record the reference, and the candidate from when it can be given all that it needs.

    Errors as of `record_side`; the first ends both.
    """
    _record_reference(reference, progress, lambda: record_side(candidate, progress))


def record_side(order: SideOrder, progress: Progress) -> None:
    """Record one side.

    UsageError for an interpreter that cannot run it; InputError with the recorder's own line where
    it could not use what it was given, or with what is known of its death.
    """
    if order.role == "reference":
        _record_reference(order, progress, lambda: None)
    else:
        _record(order, progress)


def _record_reference(order: SideOrder, progress: Progress, meanwhile: Callable[[], None]) -> None:
    """Record the reference; `meanwhile` is called when a candidate can be given all that it needs.

    Until then one process records the steps that need more of the reference alone, which take
    longest, and another the others.
    """
    running = list[subprocess.Popen[str]]()
    _record_steps(order, progress, running)
    names = [part.NAME for number in order.steps for part in BESIDE.get(number, ())]
    with ThreadPoolExecutor(1) as pool, _killing(running), leaving_nothing(unfinished(order.out)):
        make(unfinished(order.out))
        at_once = min(processes(order.out), len(names))
        orders = [replace(order, beside=tuple(names[n::at_once])) for n in range(at_once)]
        beside = pool.submit(side_by_side, orders, at_once, progress, running)
        meanwhile()
        beside.result()


def _record_steps(
    order: SideOrder, progress: Progress, running: list[subprocess.Popen[str]]
) -> None:
    """Record a side's steps, in two processes where that is quicker."""
    short = tuple(n for n in order.steps if n not in BESIDE)
    long = tuple(n for n in order.steps if n in BESIDE)
    if not (short and long):
        _record(order, progress, running=running)
        return
    parts = unfinished(order.out)
    first, second = (
        replace(order, out=parts / name, steps=steps)
        for name, steps in (("first", short), ("second", long))
    )
    ready = Event()

    def record_second() -> None:
        ready.wait()
        model = unfinished(first.out) / START.NAME
        if model.exists():  # or the first process has failed
            shutil.copytree(model, unfinished(second.out) / START.NAME)
            _record(second, progress, running=running)

    with leaving_nothing(parts), ThreadPoolExecutor(1) as pool, _killing(running):
        make(parts)
        beside = pool.submit(record_second)
        try:
            _record(first, progress, ready.set, running)
        finally:
            ready.set()
        beside.result()
        for number in long:
            (second.out / STEPS[number - 1].NAME).rename(first.out / STEPS[number - 1].NAME)
        put_in_place(first.out, order.out, kept=equivalence.NAME)


def processes(out: Path) -> int:
    """How many processes the cores are enough for, on as many threads as a side recorded with."""
    cores = os.cpu_count() or 1
    environment = read(out / START.NAME).manifest.get("environment", {})
    try:
        return max(1, cores // max(1, int(environment.get("threads", 1))))
    except (ValueError, TypeError):
        return 1


def side_by_side(
    orders: Sequence[SideOrder],
    at_once: int,
    progress: Progress,
    running: list[subprocess.Popen[str]] | None = None,
) -> None:
    """Run these processes, so many at once; the first that fails ends all.

    `running` gets the processes. Errors as of `record_side`.
    """
    running, stopped = list[subprocess.Popen[str]]() if running is None else running, Event()

    def one(order: SideOrder) -> None:
        if not stopped.is_set():
            _hear(order, order.command(), progress, running=running)

    with ThreadPoolExecutor(max(1, at_once)) as pool, _killing(running):
        started = [pool.submit(one, order) for order in orders]
        try:
            for done in as_completed(started):
                done.result()
        finally:
            stopped.set()


@contextmanager
def _killing(running: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
    """Kill these processes where the block fails."""
    try:
        yield
    except BaseException:
        for process in running:
            process.kill()
        raise


def _record(
    order: SideOrder,
    progress: Progress,
    ready: Callable[[], None] = lambda: None,
    running: list[subprocess.Popen[str]] | None = None,
) -> None:
    """Run one side's recorder to its end, whatever that is; nothing half-written is left.

    ready  called when the parameters to start from are recorded; running  gets the process
    """
    partial = unfinished(order.out)
    with leaving_nothing(partial):
        command = [*order.command(), "--partial", str(partial)]
        _hear(order, command, progress, ready, running)


def _hear(
    order: SideOrder,
    command: list[str],
    progress: Progress,
    ready: Callable[[], None] = lambda: None,
    running: list[subprocess.Popen[str]] | None = None,
) -> None:
    """Run a recorder and pass on what it says; raise what it, or its end, says of a failure."""
    error, doing, finished = "", "", False
    with _process(command) as (process, noise):
        if running is not None:
            running.append(process)
        for line in process.stdout or ():
            message = _message(line)
            error = str(message.get("error", error))
            finished = finished or "finished" in message
            if "ready" in message:
                ready()
            elif message.get("total"):
                progress(f"{order.role}: {message['text']}", message["done"], message["total"])
            elif "text" in message:
                doing = str(message["text"])
        status = process.wait()
        last = _last_line(noise)
    if error:
        raise InputError(error)
    if not doing:
        why = last or "it says nothing"
        raise UsageError(f"{command[0]}: cannot run modelparity: {why}; install it there")
    if status or not finished:
        raise InputError(
            f"the {order.role} side's process {_end(status)} while {doing}{_seen(last)}"
        )


@contextmanager
def _process(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A recorder's process and what it prints beside its messages; it ends with the block."""
    loud = os.environ.get("MODELPARITY_TRACEBACK")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as noise:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if loud else noise,
                encoding="utf-8",
                errors="replace",
                env={**QUIET_THREADS, **KEPT_MEMORY, **os.environ},
            )
        except OSError as error:
            raise UsageError(f"{command[0]}: cannot be started: {error.strerror}") from None
        try:
            yield process, noise
        finally:
            process.kill()
            process.communicate()


def _end(status: int) -> str:
    """How a process that said nothing of its end came to it."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by signal {-status} ({signal.Signals(-status).name})"


def _seen(last: str) -> str:
    return f"; the last it printed: {last}" if last else ""


def _last_line(noise: IO[str]) -> str:
    noise.seek(0)
    return (noise.read().strip().splitlines() or [""])[-1].strip()


def _message(line: str) -> dict[str, Any]:
    """A line of the recorder's; an interpreter of another kind may say anything."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
