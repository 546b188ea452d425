"""How far the reference moves from itself: step 10's float32 runs from nudged weights.

The candidate is given nothing of it, so that all of them can be recorded at the same time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diff import rms
from modelparity.masks import nudged
from modelparity.sketch import sketch
from modelparity.steps.epoch import LOSS, STEP, UPDATES, losses, trained_under
from modelparity.steps.recorder import Recorder
from modelparity.steps.updates import Training

RUNS = 4

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Nudged:
    """A run from weights moved by one ulp, as far as the horizon: a recording of its own."""

    number: int

    @property
    def NAME(self) -> str:  # noqa: N802  # as modules of steps have it
        """What its recording is called."""
        return f"envelope.{self.number}"

    def record(self, recorder: Recorder) -> None:
        """Record its losses, and how far its parameters lie from those of the float64 run."""
        batches, trained = recorder.given_batches(STEP, "batch"), recorder.given_recording(STEP)
        moved = {
            name: nudged(array, ("nudge", self.number, name))
            for name, array in recorder.initial_weights().items()
        }
        model = recorder.build(trained_under(recorder), moved, "float32", training=True)
        how, curve = Training("float32", f"nudged run {self.number}"), list[float]()
        free = trained.array(f"float32/{LOSS}")
        for loss in losses(recorder, model, batches, len(batches), how):
            curve.append(loss)
            if len(curve) == UPDATES:
                for name, array in recorder.adapter.parameters(model).items():
                    end = trained.array(f"float64/trained/{name}")
                    gap = sketch(array).astype(np.float64) - end
                    recorder.writer.add(f"apart/{name}", np.array(rms(gap)))
            expected = free[len(curve) - 1]
            if not abs(loss - expected) <= judge.HORIZON * abs(expected):
                break
        recorder.writer.add("loss", np.array(curve))


PARTS = tuple(Nudged(number) for number in range(1, RUNS + 1))
