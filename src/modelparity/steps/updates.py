"""Train one side, update by update, from the functions that the side offers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from modelparity.adapters import Applied
from modelparity.diff import norm
from modelparity.steps.recorder import Array, Batch, MissingFunction, Recorder, Settings
from modelparity.steps.trace import Trace


@dataclass(frozen=True)
class Training:
    """How to train on given batches.

    dtype    the precision of the model; label  what the progress display calls it
    total    updates that the schedule is made for, where it is not the number of batches
    dropout  inject masks that both sides compute alike
    scales   multiply the gradients of the updates in turn
    norms    measure the gradients' norm before and behind the clipping
    trace    collects what goes into each update and comes out
    """

    dtype: str
    label: str
    total: int = 0
    dropout: bool = False
    scales: tuple[float, ...] = (1.0,)
    norms: bool = False
    trace: Trace | None = None


@dataclass(frozen=True)
class Update:
    """One update: the loss before it, and the global norms where they were asked for."""

    loss: float
    norm: float = np.nan
    reached: float = np.nan


def global_norm(gradients: Mapping[str, Array]) -> float:
    """The Euclidean norm over all arrays, accumulated in float64."""
    return float(np.sqrt(sum(norm(gradient) ** 2 for gradient in gradients.values())))


def by_parameter(rates: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Each parameter's learning rates, update by update, from those of each update."""
    return {n: np.array([r[n] for r in rates], np.float64) for n in rates[0]} if rates else {}


def first_batches(recorder: Recorder, settings: Settings, count: int) -> list[Batch]:
    """The first `count` training batches of this side, running on into the next epochs."""

    def endless() -> Iterator[Batch]:
        epoch = 0
        while True:
            batches = list(recorder.call("training_batches", settings, epoch))
            if not batches:
                raise MissingFunction("training_batches() yields nothing")
            yield from batches
            epoch += 1

    return list(islice(endless(), count))


def train(
    recorder: Recorder, model: Any, settings: Settings, batches: list[Batch], how: Training
) -> Iterator[Update]:
    """Train on these batches, one update each; yields when an update is done."""
    total = how.total or len(batches)
    optimizer, schedule = recorder.call("build_optimizer", model, settings, total)
    trace = how.trace
    if trace:
        trace.begin(model, optimizer)
    for number, batch in enumerate(batches):
        with ExitStack() as stack:
            if how.dropout:
                masks = recorder.masks(number)
                masks = trace.masks(masks) if trace else masks
                stack.enter_context(recorder.adapter.dropout(model, masks))
            loss = recorder.loss_and_gradients(model, batch, how.dtype)
        norm = _scale(recorder, model, how, number)
        with _reached(recorder, model, optimizer, how) as reached:
            recorder.call("update", model, optimizer, schedule, settings)
        if trace:
            trace.end(model)
        recorder.progress(f"{how.label}, {how.dtype}", number + 1, len(batches))
        yield Update(loss, norm, *reached[:1])


def _scale(recorder: Recorder, model: Any, how: Training, number: int) -> float:
    """Multiply the gradients by this update's scale; the norm, where it is asked for."""
    scale = how.scales[number % len(how.scales)]
    if scale == 1.0 and not how.norms and not how.trace:
        return np.nan
    gradients = recorder.adapter.gradients(model)
    if how.trace:
        how.trace.gradients(gradients)
    if scale != 1.0:
        gradients = {name: g * g.dtype.type(scale) for name, g in gradients.items()}
        recorder.adapter.set_gradients(model, gradients)
    return global_norm(gradients) if how.norms else np.nan


@contextmanager
def _reached(
    recorder: Recorder, model: Any, optimizer: Any, how: Training
) -> Iterator[list[float]]:
    """The norm of what reaches the optimizer's rule."""
    norms: list[float] = []

    def note(applied: Applied) -> None:
        if how.norms:
            norms.append(global_norm(applied.gradients()))
        if how.trace:
            how.trace.applied(applied)

    with ExitStack() as stack:
        if how.norms or how.trace:
            stack.enter_context(recorder.adapter.watch_updates(model, optimizer, note))
        yield norms
