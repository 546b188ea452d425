"""The recording that every step leans on: parameters, structure, hard-coded float32."""

from dataclasses import astuple
from typing import Any

import numpy as np

from modelparity import layout, pairing
from modelparity.adapters import Call, Tensors
from modelparity.steps.recorder import MissingFunction, Recorder
from modelparity.steps.vocabulary import record_vocabularies

NAME = "model"

SMALL, LARGE = 2.0**-36, 2.0**-7  # relative nudges: below and far above float32's resolution

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Record the parameters that the run starts from, and facts about the modules.

    The reference records what its own `build_model` made; the candidate what stands in its model
    after the transfer.
    """
    adapter, settings = recorder.adapter, recorder.settings
    adapter.seed(int(settings.get("seed", 0)))
    model = recorder.call("build_model", settings)
    if not recorder.is_reference:
        _transfer(recorder, model)
    parameters = adapter.parameters(model)
    for name, array in parameters.items():
        recorder.writer.add(f"parameter/{name}", array)
    recorder.writer.facts["trainable"] = adapter.trainable(model)
    recorder.writer.facts["configuration"] = adapter.configuration(model)
    record_vocabularies(recorder)
    adapter.cast(model, "float64")
    adapter.train(model, False)
    recorder.writer.facts.update(_modules(recorder, model))


def _transfer(recorder: Recorder, model: Any) -> None:
    """Load the reference's parameters; what only its values pair is recorded as a fact."""
    given, rules = recorder.given_recording(NAME), recorder.case.rules
    arrays = {n: given.array(f"parameter/{n}") for n in given.below("parameter/")}
    own = recorder.adapter.parameters(model)
    named = pairing.pair(arrays.keys(), own.keys(), rules)
    found = pairing.by_values(
        {n: arrays[n] for n in named.reference_only}, {n: own[n] for n in named.candidate_only}
    )
    recorder.writer.facts["equal values"] = [astuple(p) for p in found]
    shapes = {n: a.shape for n, a in own.items()}
    pairs = pairing.pair(given.shapes("parameter/"), shapes, rules, found)
    laid = layout.to_candidate(pairs, arrays, shapes)
    recorder.adapter.load(model, {n: a for n, a in laid.items() if a.shape == shapes[n]})


def _modules(recorder: Recorder, model: Any) -> dict[str, object]:
    """Which modules run, how often, and which of them compute in float32 inside float64."""
    if not {"forward", "sample_batches"} <= set(recorder.functions) and recorder.is_reference:
        return {"modules": {}, "hard_float32": []}
    try:
        batches = recorder.shared_batches(
            NAME, "batches", lambda: recorder.call("sample_batches", recorder.settings)
        )
        smallest = min(batches, key=lambda batch: sum(a.size for a in batch.values()))
        probe = Probe(recorder)
        with recorder.adapter.observe(model, before=probe.before, after=probe.after):
            recorder.forward(model, smallest, "float64")
    except (MissingFunction, ValueError):
        return {"modules": {}, "hard_float32": []}
    return {"modules": probe.runs, "hard_float32": probe.innermost()}


class Probe:
    """Watches a float64 forward pass for modules that do not resolve more than float32.

    Each module is run twice more on slightly changed inputs. Outputs that answer to a large nudge
    but not to one below float32's resolution were rounded to float32 on their way.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._adapter = recorder.adapter
        self._inputs: dict[tuple[str, int], Tensors] = {}
        self.runs: dict[str, int] = {}
        self._hard: list[str] = []

    def before(self, call: Call, inputs: Tensors) -> None:
        """Keep a module's inputs until it has run."""
        self._inputs[call.module, call.index] = inputs

    def after(self, call: Call, outputs: Tensors) -> None:
        """Count the run, and probe the module when it has run for the first time."""
        inputs = self._inputs.pop((call.module, call.index))
        self.runs[call.module] = call.index + 1
        if call.index == 0 and self._is_hard(call, inputs, outputs):
            self._hard.append(call.module)

    def _is_hard(self, call: Call, inputs: Tensors, outputs: Tensors) -> bool:
        plain = self._floats(outputs)
        if any(a.dtype != np.float64 for a in plain):
            return True
        if not plain or not self._floats(inputs):
            return False
        small = self._floats(call.again(self._nudged(inputs, SMALL)))
        large = self._floats(call.again(self._nudged(inputs, LARGE)))
        answers = sum(int(np.sum(a != b)) for a, b in zip(plain, large, strict=True))
        resolved = sum(int(np.sum(a != b)) for a, b in zip(plain, small, strict=True))
        return answers > 0 and resolved < answers / 2

    def _floats(self, tensors: Tensors) -> list[Array]:
        arrays = [self._adapter.array(tensor) for tensor in tensors]
        return [a for a in arrays if a.dtype.kind == "f"]

    def _nudged(self, tensors: Tensors, size: float) -> Tensors:
        generator = np.random.default_rng(0)
        nudged = []
        for tensor in tensors:
            array = self._adapter.array(tensor)
            if array.dtype.kind == "f":
                signs = generator.uniform(-1.0, 1.0, array.shape)
                tensor = self._adapter.like(array * (1.0 + size * signs), tensor)
            nudged.append(tensor)
        return nudged

    def innermost(self) -> list[str]:
        """Hard modules without a hard module inside them."""
        return [
            m
            for m in self._hard
            if not any(
                other != m and (m == "" or other.startswith(f"{m}.")) for other in self._hard
            )
        ]
