"""One training of step 10, on given batches with dropout by shared masks; and once more."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.recording import Recording
from modelparity.steps.again import Arrays, look_again
from modelparity.steps.evidence import UPDATED, noise_limits
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder, Settings
from modelparity.steps.updates import Training, train

STEP = "training"
UPDATES = 50  # in float64; behind them the parameters are compared
AT_ONCE = 25  # updates
# In units of `_limits`, which are wider than what judges where nudged runs stay together by chance.
DOUBTFUL = 0.3

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
    yield "training/loss", np.array(seen)


def run_again(recorder: Recorder, weights: Arrays, batches: list[Batch]) -> None:
    """Train from moved weights where the candidate's float32 training is in doubt."""
    known = _limits(recorder.given_recording(STEP))
    how = Training("float32", "training, once more")

    def run(moved: Arrays) -> Arrays:
        model = recorder.build(trained_under(recorder), moved, "float32", training=True)
        curve = losses(recorder, model, batches, len(batches), how)
        found = arrays_of(recorder, model, curve, known["training/loss"])
        return {name: np.array(array) for name, array in found}

    look_again(recorder, weights, known, run, doubtful=DOUBTFUL)


def _limits(ours: Recording) -> dict[str, Limit]:
    """How far a candidate may lie off, as far as is known without the nudged runs."""
    return {"training/loss": partial(_off, ours), **noise_limits(ours, "trained/", UPDATED)}


def _off(ours: Recording, curve: Array) -> float:
    """How far the start of a curve lies off, in units of ten times the reference's own gap.

    Where its float64 run has ended float32 runs part by and by; what parts at once still shows.
    """
    truth, base = (ours.array(f"{dtype}/training/loss") for dtype in PRECISIONS)
    known, seen = truth.size, curve.size
    gap = np.abs(curve - base[:seen])
    before = np.abs(base[:known] - truth)[:seen]
    if seen > known:
        before = np.concatenate([before, gap[known - AT_ONCE : seen - AT_ONCE]])
    scale = np.abs(base[:seen])
    own = np.maximum(np.maximum.accumulate(before), judge.ULP32 * scale)
    told = own <= judge.HORIZON * scale  # beyond it a curve shows nothing
    return float(np.max(gap / (judge.ENVELOPE_FACTOR * own), where=told, initial=0.0))
