"""Forced mode: each leaf module fed the reference's inputs, so that only its own faults show.

The candidate runs once more in float64. Before a leaf module runs, its inputs are recorded and then
replaced by the reference's; after it, its outputs likewise. A difference in an input is then a
fault of the glue before the module, one in an output a fault of the module itself.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modelparity import judge
from modelparity.adapters import Call, Tensors
from modelparity.model import Finding, Outcome
from modelparity.steps.evidence import Evidence, compare_parts
from modelparity.steps.recorder import Batch, Recorder


def record_forced(recorder: Recorder, model: Any, batch: Batch, run: str) -> None:
    """Run the candidate on the reference's recorded inputs and record what it makes of them."""
    given, adapter, add = recorder.given_recording("forward"), recorder.adapter, recorder.writer.add
    known = set(given.names)

    def step_in(kind: str, source: str) -> Callable[[Call, Tensors], Tensors | None]:
        def act(call: Call, tensors: Tensors) -> Tensors | None:
            name = f"{recorder.reference_module(call.module)}#{call.index}.{kind}"
            faced = [f"{source}float64/{run}/{name}.{i}" for i in range(len(tensors))]
            if not call.module or (kind == "input" and not call.leaf):
                return None
            if not faced or not known.issuperset(faced):
                return None
            arrays = [adapter.array(tensor) for tensor in tensors]
            for i, array in enumerate(arrays):
                add(f"forced/{run}/{call.module}#{call.index}.{kind}.{i}", array)
            theirs = [given.array(n) for n in faced]
            fits = all(a.shape == b.shape for a, b in zip(arrays, theirs, strict=True))
            if not call.leaf or not fits:
                return None
            return [adapter.like(a, t) for a, t in zip(theirs, tensors, strict=True)]

        return act

    with adapter.observe(model, before=step_in("input", "leaf/"), after=step_in("output", "")):
        recorder.forward(model, batch, "float64")


def judge_forced(evidence: Evidence, run: str) -> list[Finding]:
    """Leaf modules fed the reference's inputs, and the glue between them, in float64."""
    ours, theirs, findings = evidence.reference, evidence.candidate, []
    names, hard, known = evidence.module_names, evidence.hard_float32, set(ours.names)
    mask = evidence.batch_mask(run)
    for name in theirs.below(f"forced/{run}/"):
        module, _, rest = name.partition("#")
        faced = f"float64/{run}/{names.get(module, module)}#{rest}"
        is_input = ".input." in rest
        source = f"leaf/{faced}" if is_input else faced
        if source not in known:
            continue
        c, r = theirs.array(f"forced/{run}/{name}"), ours.array(source)
        inside = [m for m in hard if m == module or m.startswith(f"{module}.")]
        around = [m for m in hard if module.startswith(f"{m}.")]
        softened = not is_input and bool(around or inside)
        own = ours.array(faced.replace("float64/", "float32/", 1)) if not is_input else r
        label = f"glue before {module}" if is_input else module
        found = compare_parts(label, (c, r, own, r), mask, judge.ULP32 if softened else None)
        findings += [_named(f, run, f"forced/{run}/{name}") for f in found]
    return findings


def _named(finding: Finding, run: str, source: str) -> Finding:
    if finding.outcome is Outcome.ALIGNED:
        return replace(finding, name=f"forced/{run}/{finding.name}")
    message = f"on the reference's inputs: {finding.message} (batch {run})"
    return replace(finding, message=message, source=source)
