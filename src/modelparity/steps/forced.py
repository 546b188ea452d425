"""Forced mode: each leaf module fed the reference's inputs, so that only its own faults show.

The candidate runs once more in float64. Before a leaf module runs, its inputs are recorded and then
replaced by the reference's; after it, its outputs likewise. A difference in an input is then a
fault of the glue before the module, one in an output a fault of the module itself.

Step 1 does so in evaluation mode, step 6 in training mode under shared dropout masks; there the
names of all arrays begin with `masked/`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from modelparity import judge
from modelparity.adapters import Call, Tensors
from modelparity.model import Finding, Outcome
from modelparity.steps.evidence import Evidence, compare_parts, spread, spread_over
from modelparity.steps.recorder import Batch, Recorder


@contextmanager
def recording_modules(
    recorder: Recorder, model: Any, run: str, *, inputs: bool, start: str = ""
) -> Iterator[None]:
    """Record every module's outputs, and the `inputs` of leaf modules; run  PRECISION/RUN/."""
    adapter, add = recorder.adapter, recorder.writer.add

    def before(call: Call, tensors: Tensors) -> None:
        if call.leaf:
            for number, tensor in enumerate(tensors):
                name = f"{start}leaf/{run}{call.module}#{call.index}.input.{number}"
                add(name, adapter.array(tensor))

    def after(call: Call, tensors: Tensors) -> None:
        if call.module and recorder.counterpart(call.module) is not None:
            for number, tensor in enumerate(tensors):
                name = f"{start}{run}{call.module}#{call.index}.output.{number}"
                add(name, adapter.array(tensor))

    with adapter.observe(model, before=before if inputs else None, after=after):
        yield


def record_forced(
    recorder: Recorder, model: Any, batch: Batch, run: str, *, step: str, start: str = ""
) -> None:
    """Run the candidate on the inputs that the reference recorded in a step, and record."""
    given, adapter, add = recorder.given_recording(step), recorder.adapter, recorder.writer.add
    known = set(given.names)

    def step_in(kind: str, source: str) -> Callable[[Call, Tensors], Tensors | None]:
        def act(call: Call, tensors: Tensors) -> Tensors | None:
            name = f"{recorder.reference_module(call.module)}#{call.index}.{kind}"
            faced = [f"{start}{source}float64/{run}/{name}.{i}" for i in range(len(tensors))]
            if not call.module or (kind == "input" and not call.leaf):
                return None
            if not faced or not known.issuperset(faced):
                return None
            arrays = [adapter.array(tensor) for tensor in tensors]
            for i, array in enumerate(arrays):
                add(f"{start}forced/{run}/{call.module}#{call.index}.{kind}.{i}", array)
            pairs = zip(arrays, map(given.array, faced), strict=True)
            theirs = [spread_over(a.shape, b) for a, b in pairs]
            fits = all(a.shape == b.shape for a, b in zip(arrays, theirs, strict=True))
            if not call.leaf or not fits:
                return None
            return [adapter.like(a, t) for a, t in zip(theirs, tensors, strict=True)]

        return act

    with adapter.observe(model, before=step_in("input", "leaf/"), after=step_in("output", "")):
        recorder.forward(model, batch, "float64")


def judge_forced(evidence: Evidence, run: str, start: str = "") -> list[Finding]:
    """Leaf modules fed the reference's inputs, and the glue between them, in float64.

    Modules that compute in float32 are judged where their float32 was recorded too.
    """
    ours, theirs, findings = evidence.reference, evidence.candidate, []
    names, hard, known = evidence.module_names, evidence.hard_float32, set(ours.names)
    mask = evidence.batch_mask(run)
    for name in theirs.below(f"{start}forced/{run}/"):
        module, _, rest = name.partition("#")
        faced = f"float64/{run}/{names.get(module, module)}#{rest}"
        is_input = ".input." in rest
        source = f"{start}leaf/{faced}" if is_input else f"{start}{faced}"
        if source not in known:
            continue
        c, r = theirs.array(f"{start}forced/{run}/{name}"), ours.array(source)
        inside = [m for m in hard if m == module or m.startswith(f"{module}.")]
        around = [m for m in hard if module.startswith(f"{m}.")]
        softened = not is_input and bool(around or inside)
        rough = f"{start}{faced}".replace("float64/", "float32/", 1)
        if softened and rough not in known:
            continue
        own = ours.array(rough) if softened else r
        label = f"glue before {module}" if is_input else module
        arrays = spread(c, r, own, r)
        found = compare_parts(label, arrays, mask, judge.ULP32 if softened else None)
        findings += [_named(f, run, f"{start}forced/{run}/{name}") for f in found]
    return findings


def _named(finding: Finding, run: str, source: str) -> Finding:
    start = source.partition("forced/")[0]
    if finding.outcome is Outcome.ALIGNED:
        return replace(finding, name=f"{start}forced/{run}/{finding.name}")
    where = f"batch {run}" if not start else "under shared dropout masks"
    message = f"on the reference's inputs: {finding.message} ({where})"
    return replace(finding, message=message, source=source)
