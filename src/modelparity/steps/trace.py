"""What goes into each update's rule and what comes out, in little: enough to tell causes apart."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelparity.adapters import Applied, DropoutCall
from modelparity.diff import norm
from modelparity.errors import ParityError
from modelparity.steps.recorder import Array, Recorder

SAMPLE = 64  # elements of a parameter, evenly spread over the reference's layout
KINDS = ("norm", "reached", "rate", "gradient", "parameter")


class Trace:
    """Collects, by the reference's names, one row an update.

    norm, reached  of each gradient before and behind the clipping; rate  each parameter's
    gradient, parameter  samples of what the rule is given, and of what stands before the first
    update and after each
    """

    def __init__(self, recorder: Recorder, start: str) -> None:
        self._recorder, self._start = recorder, start
        self._rows: dict[str, dict[str, list[Any]]] = {kind: {} for kind in KINDS}
        self._sites: dict[str, dict[str, object]] = {}
        self._active: list[int] = []

    def begin(self, model: Any, optimizer: Any) -> None:
        """Before the first update: the optimizer's settings and the parameters."""
        try:
            found = self._recorder.adapter.optimizer_configuration(model, optimizer)
        except ParityError:  # steps 4 and 6 say so
            found = {}
        named = self._recorder.by_reference_name
        facts: dict[str, object] = {
            key: named(value) if isinstance(value, Mapping) else value
            for key, value in found.items()
        }
        self._recorder.writer.facts["optimizer"] = facts
        self.end(model)

    def masks(self, draw: Callable[[DropoutCall], Array]) -> Callable[[DropoutCall], Array]:
        """The same masks; where dropout acts is noted."""
        self._active.append(0)

        def noting(call: DropoutCall) -> Array:
            self._active[-1] += call.active
            if len(self._active) == 1:
                site = self._recorder.reference_module(call.site)
                seen: dict[str, object] = {"rate": call.rate, "active": call.active}
                self._sites[f"{site}#{call.index}"] = seen
            return draw(call)

        return noting

    def gradients(self, arrays: Mapping[str, Array]) -> None:
        """Gradients (this side's names) as they were backpropagated."""
        self._add("norm", self._norms(arrays))

    def applied(self, applied: Applied) -> None:
        """What reaches the optimizer's rule."""
        gradients = applied.gradients()
        self._add("reached", self._norms(gradients))
        self._add("gradient", self._samples(gradients))
        self._add("rate", self._recorder.by_reference_name(applied.rates))

    def end(self, model: Any) -> None:
        """After an update."""
        self._add("parameter", self._samples(self._recorder.adapter.parameters(model)))

    def write(self) -> None:
        """Record what was collected."""
        for kind, named in self._rows.items():
            for name, rows in named.items():
                full = f"{self._start}trace/{kind}/{name}"
                self._recorder.writer.add(full, np.array(rows, np.float64))
        self._recorder.writer.facts["sites"] = self._sites
        self._recorder.writer.facts["active sites"] = self._active

    def _add(self, kind: str, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._rows[kind].setdefault(name, []).append(value)

    def _norms(self, arrays: Mapping[str, Array]) -> dict[str, float]:
        laid = self._recorder.to_reference(arrays)
        return {name: norm(array) for name, array in laid.items()}

    def _samples(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        laid = self._recorder.to_reference(arrays)
        return {name: _sample(array) for name, array in laid.items()}


def _sample(array: Array) -> Array:
    places = np.linspace(0, array.size - 1, min(array.size, SAMPLE)).astype(np.int64)
    sample: Array = array[np.unravel_index(places, array.shape)] if array.ndim else array[None]
    return sample.astype(np.float64)
