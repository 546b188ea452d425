"""How far the reference moves from itself: step 10's float32 runs from nudged weights.

The candidate is given nothing of it, so that both can be recorded at the same time.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diff import rms
from modelparity.masks import nudged
from modelparity.sketch import sketch
from modelparity.steps.recorder import Batch, Recorder, Settings
from modelparity.steps.updates import Training, train

NAME = "envelope"
OF = "training"  # the step whose weights, batches and losses it starts from
RUNS = 4
UPDATES = 50  # behind which that step compares the parameters

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Float32 runs from weights moved by one ulp, each as far as the horizon of those before."""
    weights, batches = recorder.initial_weights(), recorder.given_batches(OF, "batch")
    free = recorder.given_recording(OF).array("float32/training/loss")
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
    trained = recorder.given_recording(OF)
    for name, array in recorder.adapter.parameters(model).items():
        gap = sketch(array).astype(np.float64) - trained.array(f"float64/trained/{name}")
        recorder.writer.add(f"{start}{name}", np.array(rms(gap)))


def trained_under(recorder: Recorder) -> Settings:
    """The settings of step 10: the first of the case's variants."""
    return recorder.variants(OF)[0][1]


def losses(
    recorder: Recorder, model: Any, batches: list[Batch], count: int, how: Training
) -> Iterator[float]:
    """The losses of a training on the first `count` batches, dropout by shared masks."""
    how = replace(how, dropout=True, total=len(batches))
    for update in train(recorder, model, trained_under(recorder), batches[:count], how):
        yield update.loss
