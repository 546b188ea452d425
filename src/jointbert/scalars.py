"""Curves for TensorBoard, written by TensorBoard's own package where it is installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelparity import InputError, UsageError


class Scalars:
    """A directory of event files. UsageError without the package, InputError without the place."""

    def __init__(self, directory: Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise UsageError(
                "--tensorboard: the package tensorboard is not installed;"
                " pip install modelparity[tensorboard]"
            ) from None
        self._event, self._summary = Event, Summary
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._writer: Any = EventFileWriter(str(directory))
        except OSError as error:
            raise InputError(
                f"--tensorboard {directory}: cannot be written ({error.strerror})"
            ) from None
        self._updates = 0

    def on_update(self, done: int, _total: int, loss: float) -> None:
        """The loss of an update."""
        self._updates = done
        self._add("train/loss", loss)

    def on_epoch(self, _epoch: int, scores: Mapping[str, float], _better: bool) -> None:
        """The scores of dev after an epoch, at the number of updates done."""
        for name, value in scores.items():
            self._add(f"dev/{name}", value)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add(self, name: str, value: float) -> None:
        summary = self._summary(value=[self._summary.Value(tag=name, simple_value=value)])
        self._writer.add_event(self._event(step=self._updates, summary=summary))
