"""What a step needs while it records: one side's functions, its adapter and what it is given.

The reference records first; what the candidate must be given (weights, batches, gradients) is
recorded under `given/` by the reference and read from there by the candidate, never from code.
"""

import gc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modelparity import layout, pairing
from modelparity.adapters import Adapter, DropoutCall
from modelparity.errors import ParityError
from modelparity.masks import keep_mask
from modelparity.model import Case, Setting
from modelparity.recording import Recording, Writer, read

Array = np.ndarray[Any, Any]
Batch = Mapping[str, Array]
Settings = Mapping[str, Setting]
Shapes = Mapping[str, tuple[int, ...]]

PRECISIONS = ("float64", "float32")


class MissingFunction(Exception):
    """A side does not offer a function that a step needs."""


class NotGiven(Exception):
    """The reference's recording lacks what the candidate must be given."""


@dataclass
class Recorder:
    """One side at work on one step.

    directory  where this side's recordings lie; `given` is the reference's directory, which is
    the same for the reference itself.
    """

    case: Case
    role: str
    functions: Mapping[str, Callable[..., Any]]
    adapter: Adapter
    settings: Settings
    directory: Path
    given: Path
    writer: Writer
    progress: Callable[[str, int, int], None]
    given_identities: dict[str, str] = field(default_factory=dict)
    _given: dict[str, Recording] = field(default_factory=dict, repr=False)
    _counterparts: dict[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def is_reference(self) -> bool:
        """Whether this side produces what the other is given."""
        return self.role == "reference"

    def require(self, *names: str) -> None:
        """MissingFunction names the first of these functions that the side does not offer."""
        for name in names:
            if name not in self.functions:
                raise MissingFunction(f"the {self.role} side offers no {name}()")

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the side. MissingFunction where it does not offer it."""
        self.require(name)
        return self.functions[name](*arguments)

    def variants(self, step: str) -> list[tuple[str, Settings]]:
        """The settings that a step runs under, each with a prefix for its array names."""
        result: list[tuple[str, Settings]] = []
        for change in self.case.variants.get(step, ({},)):
            label = ",".join(f"{key}={value}" for key, value in change.items())
            result.append((f"{label}/" if label else "", {**self.settings, **change}))
        return result

    def given_recording(self, step: str) -> Recording:
        """The reference's recording of a step, remembered by its identity."""
        if step not in self._given:
            try:
                recording = read(self.given / step)
            except ParityError as error:
                raise NotGiven(f"the reference's recording {error}") from None
            if not recording.manifest.get("complete"):
                raise NotGiven(f"the reference's recording of {step} is incomplete")
            self._given[step] = recording
        self.given_identities[step] = self._given[step].identity()
        return self._given[step]

    def shared_batches(
        self, step: str, key: str, produce: Callable[[], Iterable[Batch]]
    ) -> list[Batch]:
        """Batches that the reference produces and records, and the candidate is given."""
        if self.is_reference:
            batches: list[Batch] = [dict(batch) for batch in produce()]
            for index, batch in enumerate(batches):
                for name, array in batch.items():
                    self.writer.add(f"given/{key}/{index}/{name}", np.asarray(array))
            return batches
        return self.given_batches(step, key)

    def given_batches(self, step: str, key: str) -> list[Batch]:
        """Batches that the reference recorded."""
        recording = self.given_recording(step)
        read_back: dict[int, dict[str, Array]] = {}
        for name in recording.below(f"given/{key}/"):
            number, _, batch_field = name.partition("/")
            array = recording.array(f"given/{key}/{name}")
            read_back.setdefault(int(number), {})[batch_field] = array
        return [read_back[number] for number in sorted(read_back)]

    def shared_arrays(
        self, step: str, key: str, produce: Callable[[], Mapping[str, Array]]
    ) -> dict[str, Array]:
        """Arrays by parameter name that the reference produces and the candidate is given.

        They come back in the names and layout of this side.
        """
        if self.is_reference:
            arrays = dict(produce())
            for name, array in arrays.items():
                self.writer.add(f"given/{key}/{name}", array)
            return arrays
        recording = self.given_recording(step)
        prefix = f"given/{key}/"
        arrays = {name: recording.array(prefix + name) for name in recording.below(prefix)}
        return self.to_own(arrays)

    @cached_property
    def _shapes(self) -> tuple[Shapes, Shapes]:
        """The shapes of the reference's parameters, and of this side's."""
        ours, own = self.given_recording("model"), read(self.directory / "model")
        return ours.shapes("parameter/"), own.shapes("parameter/")

    @cached_property
    def _pairing(self) -> pairing.Pairing:
        known = pairing.recalled(read(self.directory / "model").facts)
        return pairing.pair(*self._shapes, self.case.rules, known)

    @property
    def _pairs(self) -> pairing.Pairing:
        self.given_recording("model")  # each step that pairs by it was given it
        return self._pairing

    @cached_property
    def _by_parameters(self) -> dict[str, str]:
        return pairing.module_pairs(self._pairs.pairs)

    def to_own(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Reference arrays in this side's names and layout."""
        if self.is_reference:
            return dict(arrays)
        return layout.to_candidate(self._pairs, arrays, self._shapes[1])

    def to_reference(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """This side's arrays in the reference's names and layout."""
        if self.is_reference:
            return dict(arrays)
        return layout.to_reference(self._pairs, arrays, self._shapes[0])

    def by_reference_name(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """One value a parameter, under the reference's names."""
        return dict(values) if self.is_reference else layout.rename(self._pairs, values)

    def add_parameters(self, prefix: str, arrays: Mapping[str, Array]) -> None:
        """Record arrays by parameter name, as sketches in the reference's names and layout."""
        for name, array in self.to_reference(arrays).items():
            self.writer.add(prefix + name, array, sketched=True)

    def initial_weights(self) -> dict[str, Array]:
        """The reference's initial parameters, in this side's names and layout."""
        recording = self.given_recording("model")
        arrays = {n: recording.array(f"parameter/{n}") for n in recording.below("parameter/")}
        return self.to_own(arrays)

    def build(
        self,
        settings: Settings,
        weights: Mapping[str, Array],
        dtype: str,
        *,
        training: bool = False,
    ) -> Any:
        """A model with these weights (this side's names), in a precision and mode.

        Arrays that do not fit the model's parameters are left out: step 1 reports those. The model
        before it is gone, if nothing holds it: frameworks tie theirs into cycles.
        """
        gc.collect()
        self.adapter.seed(int(settings.get("seed", 0)))
        model = self.call("build_model", settings)
        shapes = {name: array.shape for name, array in self.adapter.parameters(model).items()}
        fitting = {n: a for n, a in weights.items() if shapes.get(n) == a.shape}
        self.adapter.load(model, fitting)
        self.adapter.cast(model, dtype)
        self.adapter.train(model, training)
        return model

    def forward(self, model: Any, batch: Batch, dtype: str) -> dict[str, Any]:
        """The side's forward on a batch of arrays."""
        outputs: dict[str, Any] = dict(
            self.call("forward", model, self.adapter.tensors(batch, dtype))
        )
        return outputs

    def loss_and_gradients(self, model: Any, batch: Batch, dtype: str) -> float:
        """One forward and backward pass; fresh gradients stay on the parameters."""
        self.adapter.set_gradients(model, {})
        outputs = self.forward(model, batch, dtype)
        if "loss" not in outputs:
            raise MissingFunction(f"the {self.role} side's forward() returns no 'loss'")
        self.adapter.backward(outputs["loss"])
        return float(self.adapter.array(outputs["loss"]))

    def masks(self, update: int) -> Callable[[DropoutCall], Array]:
        """Draws the dropout masks of one update from the reference's names of the sites."""
        seed = int(self.settings.get("seed", 0))

        def draw(call: DropoutCall) -> Array:
            where = (seed, update, self.reference_module(call.site), call.index)
            return keep_mask(where, call.shape, call.rate)

        return draw

    def reference_module(self, module: str) -> str:
        """The reference's name of one of this side's modules (its own name where no rule fits)."""
        return self.counterpart(module) or module

    def counterpart(self, module: str) -> str | None:
        """The reference's module that faces one of this side's, if any does."""
        if self.is_reference:
            return module
        if module not in self._counterparts:
            names: dict[str, str] = self.given_recording("model").facts["modules"]
            pairs = pairing.pair(names, [module], pairing.module_rules(self.case.rules)).pairs
            found = pairs[0].reference[0] if pairs else self._by_parameters.get(module)
            self._counterparts[module] = found if found in names else None
        return self._counterparts[module]
