"""One training of step 10, on given batches with dropout by shared masks; and once more."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.recording import Recording
from modelparity.steps.again import Arrays, Limits, look_again
from modelparity.steps.evidence import UPDATED, noise_limits
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder, Settings
from modelparity.steps.updates import Training, train

STEP = "training"
UPDATES = 50  # in float64; behind them the parameters are compared
AT_ONCE = 25  # updates
LOSS = "training/loss"

Array = np.ndarray[Any, Any]
Limit = Callable[[Array], float]


def trained_under(recorder: Recorder) -> Settings:
    """The settings of step 10: the first of the case's variants."""
    return recorder.variants(STEP)[0][1]


def losses(
    recorder: Recorder, model: Any, batches: list[Batch], count: int, how: Training
) -> Iterator[float]:
    """The losses of a training on the first `count` batches, dropout by shared masks."""
    how = replace(how, dropout=True, total=len(batches))
    for update in train(recorder, model, trained_under(recorder), batches[:count], how):
        yield update.loss


def arrays_of(
    recorder: Recorder, model: Any, curve: Iterable[float], beyond: Limit = lambda _: 0.0
) -> Iterator[tuple[str, Array]]:
    """What that step records of a training, below its precision: name and array.

    The parameters behind 50 updates as they lie in the model, which goes on, then the losses.
    Nothing more where the losses until then lie `beyond` a limit of 1.0.
    """
    seen: list[float] = []
    for loss in curve:
        seen.append(loss)
        if len(seen) <= UPDATES and beyond(np.array(seen)) > 1.0:
            return
        if len(seen) == UPDATES:
            parameters = recorder.to_reference(recorder.adapter.parameters(model))
            yield from ((f"trained/{name}", array) for name, array in parameters.items())
    yield LOSS, np.array(seen)


def run_again(recorder: Recorder, weights: Arrays, batches: list[Batch]) -> None:
    """Train from moved weights where the candidate's float32 training is beyond its limits.

    Without the nudged runs of the reference, which widen them and may not have run yet.
    """
    ours = recorder.given_recording(STEP)
    off, how = partial(_off, ours), Training("float32", "once more")

    def run(moved: Arrays) -> Arrays:
        model = recorder.build(trained_under(recorder), moved, "float32", training=True)
        curve = losses(recorder, model, batches, len(batches), how)
        found = arrays_of(recorder, model, curve, off)
        return {name: np.array(array) for name, array in found}

    limits: Limits = {LOSS: off, **noise_limits(ours, "trained/", UPDATED)}
    look_again(recorder, weights, limits, run)


def _off(ours: Recording, curve: Array) -> float:
    """How far the start of a curve lies off, in units of ten times the reference's own gap.

    That is known as far as its float64 run goes. Behind it float32 runs part by and by, and only
    what parts ten times as far within a few updates is off.
    """
    truth, base = (ours.array(f"{dtype}/{LOSS}") for dtype in PRECISIONS)
    known, seen = truth.size, curve.size
    with np.errstate(all="ignore"):  # a training that fails may hold anything
        gap, scale = np.abs(curve - base[:seen]), np.abs(base[:seen])
    own = np.abs(base[:known] - truth)[:seen]
    if seen > known:
        own = np.concatenate([own, gap[known - AT_ONCE : seen - AT_ONCE]])
    own = np.maximum(np.maximum.accumulate(own), judge.ULP32 * scale)
    told = own <= judge.HORIZON * scale  # beyond it a curve shows nothing
    with np.errstate(all="ignore"):
        return float(np.max(gap / (judge.ENVELOPE_FACTOR * own), where=told, initial=0.0))
