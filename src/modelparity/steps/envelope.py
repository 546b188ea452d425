"""How far the reference moves from itself: step 10's float32 runs from nudged weights.

The candidate is given nothing of it, so that both can be recorded at the same time.
"""

from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diff import rms
from modelparity.masks import nudged
from modelparity.sketch import sketch
from modelparity.steps.epoch import STEP, UPDATES, losses, trained_under
from modelparity.steps.recorder import Recorder
from modelparity.steps.updates import Training

NAME = "envelope"
RUNS = 4

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Float32 runs from weights moved by one ulp, each as far as the horizon of those before."""
    weights, batches = recorder.initial_weights(), recorder.given_batches(STEP, "batch")
    free = recorder.given_recording(STEP).array("float32/training/loss")
    count = len(batches)
    for run in range(RUNS):
        moved = {n: nudged(a, ("nudge", run, n)) for n, a in weights.items()}
        model = recorder.build(trained_under(recorder), moved, "float32", training=True)
        curve: list[float] = []
        how = Training("float32", f"nudged run {run + 1}")
        for loss in losses(recorder, model, batches, count, how):
            curve.append(loss)
            if len(curve) == UPDATES:
                _record_apart(recorder, model, f"{run}/apart/")
            expected = free[len(curve) - 1]
            if not abs(loss - expected) <= judge.HORIZON * abs(expected):
                break
        count = min(count, len(curve))
        recorder.writer.add(f"{run}/loss", np.array(curve))


def _record_apart(recorder: Recorder, model: Any, start: str) -> None:
    """The rms distance of a nudged run's parameters from those of the float64 run."""
    trained = recorder.given_recording(STEP)
    for name, array in recorder.adapter.parameters(model).items():
        gap = sketch(array).astype(np.float64) - trained.array(f"float64/trained/{name}")
        recorder.writer.add(f"{start}{name}", np.array(rms(gap)))
