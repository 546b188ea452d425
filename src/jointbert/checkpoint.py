"""Where an interrupted training stands, on disk: one file that appears whole or not at all.

A checkpoint is one safetensors file: the framework's own arrays, and in its header the progress and
what the training depends on. An earlier one is removed only when a later one is complete. Random
numbers need no state: both sides seed their generator anew for every batch, from its number.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from modelparity import InputError, UsageError

FORMAT = "1"
Array = np.ndarray[Any, Any]


@dataclass
class Progress:
    """Losses of the updates done; results of the epochs evaluated on dev; the best one's index."""

    losses: list[float] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)
    best: int = -1

    def add(self, result: Mapping[str, Any]) -> bool:
        """Note the scores of an epoch; whether it is the best so far.

        Best is the highest semantic-frame accuracy, among equals the lowest loss.
        """
        self.evaluations.append({k: v for k, v in result.items() if isinstance(v, float)})
        better = self.best < 0 or _rank(self.evaluations[-1]) > _rank(self.evaluations[self.best])
        if better:
            self.best = len(self.evaluations) - 1
        return better

    def finished(self, epochs: int, patience: int) -> bool:
        """Whether all epochs are done, or `patience` (0: any number) of them without a better."""
        done = len(self.evaluations)
        return done >= epochs or bool(patience and done - 1 - self.best >= patience > 0)


class Store:
    """Checkpoints of one training in a directory of their own.

    identity  what must be the same when a training goes on: options, and digests of its inputs
    every     updates between checkpoints; epochs' ends always get one
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any], every: int) -> None:
        self.directory = directory
        self.identity = dict(identity)
        self.every = every

    def due(self, update: int) -> bool:
        """Whether the update with this number is to be followed by a checkpoint."""
        return self.every > 0 and update % self.every == 0

    def save(self, arrays: Mapping[str, Array], progress: Progress) -> None:
        """Write a checkpoint, then remove earlier ones. InputError where it cannot be written."""
        target = self.directory / f"{len(progress.losses):08d}-{len(progress.evaluations):04d}"
        target = target.with_suffix(".safetensors")
        header = {
            "format": FORMAT,
            "identity": json.dumps(self.identity),
            "progress": json.dumps(asdict(progress)),
        }
        with written_whole(target) as unfinished:
            save_file({n: np.asarray(a, order="C") for n, a in arrays.items()}, unfinished, header)
        for earlier in self.files():
            if earlier != target:
                earlier.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """The complete checkpoints, the latest last."""
        return sorted(self.directory.glob("*.safetensors"))

    def load(self) -> tuple[dict[str, Array], Progress] | None:
        """The latest checkpoint, None where there is none.

        InputError where it cannot be read; UsageError where it belongs to another training.
        """
        files = self.files()
        if not files:
            return None
        try:
            with safe_open(files[-1], framework="numpy") as file:
                header = file.metadata() or {}
                found = json.loads(header["identity"])
                progress = Progress(**json.loads(header["progress"]))
                self._check(found)
                return {name: file.get_tensor(name) for name in file.keys()}, progress  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{files[-1]}: not a checkpoint that can be read ({error}); remove it"
            ) from None

    def _check(self, found: Mapping[str, Any]) -> None:
        for name in sorted({*found, *self.identity}):
            before, now = found.get(name), self.identity.get(name)
            if before != now:
                raise UsageError(
                    f"--resume: {name} was {before!r} and is now {now!r};"
                    " resume with what the training began with, or choose another --out"
                )


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` when the block has succeeded.

    After a kill at any moment `target` holds what it held before, or all of the new content.
    Raises InputError where the disk is full or the directory may not be written.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{target.name}.*.unfinished"):
            left.unlink()
        yield unfinished
        unfinished.chmod(_readable())  # safetensors writes for the owner only
        _to_disk(unfinished)
        unfinished.replace(target)
        _to_disk(target.parent)
    except (OSError, SafetensorError) as error:
        _remove(unfinished)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"{target}: cannot be written ({reason}); what was saved before is still there"
        ) from None
    except BaseException:
        _remove(unfinished)
        raise


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold a directory for this process; UsageError where another one trains into it."""
    path = directory / ".lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise InputError(f"{directory}: cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{directory}: another process trains into it; wait for it") from None
        yield
        path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what went wrong before is what matters
        path.unlink(missing_ok=True)


def _readable() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rank(result: Mapping[str, float]) -> tuple[float, float]:
    return result["semantic_frame_acc"], -result["loss"]
