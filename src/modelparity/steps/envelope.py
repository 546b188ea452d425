"""How far the reference moves from itself: step 10's float32 runs from nudged weights.

The candidate is given nothing of it, so that both can be recorded at the same time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diff import rms
from modelparity.masks import nudged
from modelparity.recording import Recording
from modelparity.sketch import sketch
from modelparity.steps.evidence import UPDATED, noise_limits
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder, Settings
from modelparity.steps.updates import Training, train

NAME = "envelope"
OF = "training"  # the step whose weights, batches and losses it starts from
RUNS = 4
UPDATES = 50  # behind which that step compares the parameters
CLOSER = 3.0  # clean ports reach 1.2 times the reference's own gap over 50 updates on SNIPS
AT_ONCE = 25  # updates

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


def arrays_of(
    recorder: Recorder, model: Any, batches: list[Batch], count: int, how: Training
) -> Iterator[tuple[str, Array]]:
    """What that step records of a training below its precision: name and array.

    The parameters behind 50 updates as they lie in the model, which goes on, then the losses.
    """
    curve: list[float] = []
    for loss in losses(recorder, model, batches, count, how):
        curve.append(loss)
        if len(curve) == UPDATES:
            parameters = recorder.to_reference(recorder.adapter.parameters(model))
            yield from ((f"trained/{name}", array) for name, array in parameters.items())
    yield "training/loss", np.array(curve)


def limits(ours: Recording) -> dict[str, Callable[[Array], float]]:
    """How far a candidate may lie off while the nudged runs are not known: what bears another look.

    Narrower than what judges it, so that whatever will be accused was looked at again.
    """
    return {"training/loss": partial(_off, ours), **noise_limits(ours, "trained/", UPDATED)}


def _off(ours: Recording, curve: Array) -> float:
    """A curve of either precision in units of what bears another look, by the reference's own gap.

    Where its float64 run has ended float32 runs part by and by; what parts at once still shows.
    """
    truth, base = (ours.array(f"{dtype}/training/loss") for dtype in PRECISIONS)
    known, seen = truth.size, curve.size
    gap = np.abs(curve - base[:seen])
    before = np.concatenate([np.abs(base[:known] - truth), gap[known - AT_ONCE : seen - AT_ONCE]])
    least = judge.ULP32 * np.abs(base[:seen])
    return float(np.max(gap / (CLOSER * np.maximum(np.maximum.accumulate(before), least))))
