"""Processes that record, each in a side's interpreter, and that end together."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import IO, Any

from modelparity.errors import InputError, UsageError

Progress = Callable[[str, int, int], None]
Due = Future[None]
Start = Callable[[Callable[[], None], Iterable[Due]], Due]

# OpenMP threads that wait must sleep: beside other work on the same cores, such as the other
# side's, spinning ones made training on two threads seven times slower.
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
# glibc gives the memory of large arrays back when they are freed; fetching its pages anew took a
# sixth of the processor time of steps 4, 6, 7 and 9 of a model with 23 million parameters.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}


class Crew:
    """Recorders' processes, which end together: the first failure ends all."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._processes: list[subprocess.Popen[str]] = []
        self._failed: BaseException | None = None  # by what everything ends

    @contextmanager
    def at_work(self, at_once: int) -> Iterator[Start]:
        """Start pieces of work, each in a thread, behind others that were started before it.

        The block ends when all are done; the error of the first that fails ends the crew.
        """
        started = list[Due]()

        def start(work: Callable[[], None], after: Iterable[Due]) -> Due:
            def when_due() -> None:
                for done in after:
                    done.result()
                if self._failed is None:
                    work()

            started.append(pool.submit(when_due))
            return started[-1]

        with ThreadPoolExecutor(max(1, at_once)) as pool:
            try:
                yield start
                for done in as_completed(started):
                    done.result()
            except BaseException as error:
                self._failed = self._failed or error
                for process in self._processes:
                    process.kill()
                raise self._failed from None

    def hear(self, role: str, command: list[str], ready: Callable[[], None] = lambda: None) -> None:
        """Run a side's recorder and pass on what it says, `ready` too.

        Raises what it, or its end, says of a failure: InputError, or UsageError for an interpreter
        that cannot run it.
        """
        error, doing, finished = "", "", False
        with _process(command) as (process, noise):
            self._processes.append(process)
            if self._failed is not None:
                process.kill()
            for line in process.stdout or ():
                message = _message(line)
                error = str(message.get("error", error))
                finished = finished or "finished" in message
                if "ready" in message:
                    ready()
                elif message.get("total"):
                    text = f"{role}: {message['text']}"
                    self._progress(text, message["done"], message["total"])
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
            raise InputError(f"the {role} side's process {_end(status)} while {doing}{_seen(last)}")


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
