"""A directory that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelparity.errors import InputError


def unfinished(out: Path) -> Path:
    """Where this process writes what will be called `out` once it is whole."""
    out = out.resolve()
    return out.with_name(f".{out.name}.partial-{os.getpid()}")


def make(partial: Path) -> None:
    """Make the directory, unless it is there. InputError names the one that cannot hold it."""
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{partial.parent}: cannot be written to: {error.strerror}") from None


@contextmanager
def leaving_nothing(partial: Path) -> Iterator[None]:
    """Remove `partial` at the end of the block, and what was made to hold it if it is empty.

    What was put in place by then has another name and stays.
    """
    made = [directory for directory in partial.parents if not directory.exists()]
    try:
        yield
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(_replaced(partial), ignore_errors=True)
        for directory in made:
            try:
                directory.rmdir()
            except OSError:  # it was never made, or holds something
                continue


def put_in_place(partial: Path, out: Path, kept: str = "") -> None:
    """Give the finished `partial` its name, in place of an older one.

    The older one is moved aside first: removing it takes time, in which this may be interrupted.
    What it holds under the name `kept` stays.
    """
    if out.exists():
        out.rename(_replaced(partial))
    partial.rename(out)
    if kept and (_replaced(partial) / kept).exists():
        (_replaced(partial) / kept).rename(out / kept)
    shutil.rmtree(_replaced(partial), ignore_errors=True)


def _replaced(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.replaced")
