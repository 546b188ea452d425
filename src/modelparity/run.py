"""Start each side's recorder in a process of its own, in its own interpreter if wanted."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelparity.errors import InputError, UsageError

Progress = Callable[[str, int, int], None]


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

    def command(self) -> list[str]:
        """The command line of the side's process."""
        options = ["--side", self.role, "--out", str(self.out)]
        options += ["--steps", ",".join(map(str, self.steps))]
        for name, value in (("given", self.given), ("module", self.module), ("fault", self.fault)):
            if value:
                options += [f"--{name}", str(value)]
        for change in self.changes:
            options += ["--set", change]
        return [self.python or sys.executable, "-m", "modelparity.record", self.case, *options]


def record_side(order: SideOrder, progress: Progress) -> None:
    """Run one side's recorder to its end.

    UsageError for an interpreter that cannot run it; InputError with the recorder's own line where
    it could not use what it was given, or died.
    """
    _usable(order.python or sys.executable)
    error = ""
    with (
        tempfile.TemporaryFile("w+") as noise,
        subprocess.Popen(
            order.command(), stdout=subprocess.PIPE, stderr=noise, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            message = _message(line)
            error = str(message.get("error", error))
            if "text" in message:
                text = f"{order.role}: {message['text']}"
                progress(text, message["done"], message["total"])
        status = process.wait()
        noise.seek(0)
        last = (noise.read().strip().splitlines() or [f"exit status {status}"])[-1]
    if status:
        raise InputError(error or f"the {order.role}'s recorder died: {last}")


def _message(line: str) -> dict[str, Any]:
    """A line of the recorder's; what else is printed to standard output is not ours."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _usable(python: str) -> None:
    try:
        found = subprocess.run(
            [python, "-c", "import modelparity.record"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UsageError(f"{python}: cannot be started: {error.strerror}") from None
    if found.returncode:
        why = (found.stderr.strip().splitlines() or ["it fails"])[-1]
        raise UsageError(f"{python}: cannot import modelparity: {why}; install it there first")
