"""Start each side's recorder in a process of its own, in its own interpreter if wanted."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any

from modelparity.errors import InputError, UsageError
from modelparity.unfinished import leaving_nothing, unfinished

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
        module = "modelparity.seeds" if self.seeds else "modelparity.record"
        return [self.python or sys.executable, "-m", module, self.case, *options]


def look(order: SideOrder) -> None:
    """Find out whether the side can be loaded in its interpreter; errors as of `record_side`."""
    _hear(order, [*order.command(), "--look"], lambda text, done, total: None)


def record_both(reference: SideOrder, candidate: SideOrder, progress: Progress) -> None:
    """Record the reference, and the candidate from when it can be given all that it needs.

    Errors as of `record_side`; the first ends both.
    """
    ready, running = Event(), list[subprocess.Popen[str]]()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(record_side, reference, progress, ready.set, running)
        first.add_done_callback(lambda _: ready.set())
        try:
            ready.wait()
            if first.done():
                first.result()
            record_side(candidate, progress)
        except BaseException:
            for process in running:
                process.kill()
            raise
        first.result()


def side_by_side(orders: Sequence[SideOrder], at_once: int, progress: Progress) -> None:
    """Run these processes, so many at once; the first that fails ends all.

    Errors as of `record_side`.
    """
    running, stopped = list[subprocess.Popen[str]](), Event()

    def one(order: SideOrder) -> None:
        if not stopped.is_set():
            _hear(order, order.command(), progress, running=running)

    with ThreadPoolExecutor(at_once) as pool:
        started = [pool.submit(one, order) for order in orders]
        try:
            for done in as_completed(started):
                done.result()
        except BaseException:
            stopped.set()
            for process in running:
                process.kill()
            raise


def record_side(
    order: SideOrder,
    progress: Progress,
    ready: Callable[[], None] = lambda: None,
    running: list[subprocess.Popen[str]] | None = None,
) -> None:
    """Run one side's recorder to its end, whatever that is; nothing half-written is left.

    ready  called when a candidate could be recorded from what is there; running  gets the process

    UsageError for an interpreter that cannot run it; InputError with the recorder's own line where
    it could not use what it was given, or with what is known of its death.
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
