"""A second recorder beside that of the ladder, for a side that trains in two processes."""

import atexit
import os
import subprocess
import sys
from contextlib import suppress
from tempfile import TemporaryDirectory

from jointbert import workers
from modelparity import UsageError

SIZE = 2
RECORDER = "modelparity.process"
ENDING = 60.0  # seconds that the second has behind the first


def meet() -> tuple[int, int]:
    """The number of this process, and how many there are; in the first one, start the second.

    It is given the same arguments, so that it goes through the same steps. What it records is
    thrown away. UsageError where this process is no recorder.
    """
    if workers.PARENT in os.environ:
        workers.end_with_parent()
        return int(os.environ["RANK"]), SIZE
    module = getattr(sys.modules["__main__"].__spec__, "name", "")
    if module != RECORDER:
        raise UsageError("this side trains in two processes; modelparity run starts both")
    scratch = TemporaryDirectory(prefix="second-recorder-")
    own = ["--out", f"{scratch.name}/out", "--partial", f"{scratch.name}/partial"]
    command = [sys.executable, "-m", RECORDER, *sys.argv[1:], *own]
    port = workers.free_port()
    second = workers.start(command, workers.environment(1, SIZE, port), out=subprocess.DEVNULL)
    atexit.register(_end, second, scratch)
    here = workers.environment(0, SIZE, port)
    os.environ.update({name: here[name] for name in here if name != workers.PARENT})
    return 0, SIZE


def _end(second: workers.Worker, scratch: TemporaryDirectory[str]) -> None:
    with suppress(subprocess.TimeoutExpired):
        second.wait(ENDING)
    workers.end([second])
    scratch.cleanup()
