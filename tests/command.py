"""The real command in a process of its own, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
COMMAND = [sys.executable, "-m", "modelparity.cli"]


def environment(**changes):
    """The environment of a command that finds the toy; small models gain nothing from threads."""
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    known = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **known, **changes}


def modelparity(directory, *arguments, **changes):
    """Run the command in a directory; `changes` are of its environment."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=directory,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def refusal(directory, *arguments, **changes):
    """The one line with which the command refuses; nothing may be written."""
    before = tree(directory)
    run = modelparity(directory, *arguments, **changes)
    assert run.returncode == 2, run.stdout + run.stderr
    assert run.stdout == ""
    assert tree(directory) == before
    lines = run.stderr.splitlines()
    assert len(lines) == 1, run.stderr
    return lines[0]


def tree(directory):
    """Every file below a directory and when it was written, but for Python's caches."""
    paths = [p for p in Path(directory).rglob("*") if "__pycache__" not in p.parts]
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file() or path.is_dir()}
