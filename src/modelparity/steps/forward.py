"""Step 1: the port computes what the reference computes, module by module."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge, pairing
from modelparity.adapters import Call, Tensors
from modelparity.diff import rms
from modelparity.model import Finding, Outcome, Verdict
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence, elements
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder

NUMBER, NAME, TITLE = 1, "forward", "forward"
CLAIM = "same structure, weights after transfer, module outputs, logits and loss"

Array = np.ndarray[Any, Any]
STEP_6 = ("rate", "mode")  # dropout is judged where it acts


def record(recorder: Recorder) -> None:
    """Record every module's outputs on the sample batches, free in both precisions.

    In float64 the reference also records its leaf modules' inputs, and the candidate runs once
    more *forced*: each leaf gets the reference's inputs, and its outputs are replaced by the
    reference's, so that only what a module itself gets wrong can be seen in it.
    """
    weights = recorder.initial_weights()
    runs: list[str] = []
    for prefix, settings in recorder.variants(NAME):
        samples = partial(recorder.call, "sample_batches", settings)
        batches = recorder.shared_batches(NAME, f"{prefix}batch", samples)
        for dtype in PRECISIONS:
            model = recorder.build(settings, weights, dtype)
            for number, batch in enumerate(batches):
                run = f"{prefix}{number}"
                _free(recorder, model, batch, f"{dtype}/{run}/", dtype)
                if dtype == "float64" and not recorder.is_reference:
                    _forced(recorder, model, batch, run)
                recorder.progress(f"forward, {dtype}", number + 1, len(batches))
        runs += [f"{prefix}{number}" for number in range(len(batches))]
    recorder.writer.facts["runs"] = runs


def _free(recorder: Recorder, model: Any, batch: Batch, start: str, dtype: str) -> None:
    adapter, add = recorder.adapter, recorder.writer.add

    def before(call: Call, tensors: Tensors) -> None:
        if call.leaf:
            for number, tensor in enumerate(tensors):
                name = f"leaf/{start}{call.module}#{call.index}.input.{number}"
                add(name, adapter.array(tensor))

    def after(call: Call, tensors: Tensors) -> None:
        if call.module:
            for number, tensor in enumerate(tensors):
                name = f"{start}{call.module}#{call.index}.output.{number}"
                add(name, adapter.array(tensor))

    keeps_inputs = recorder.is_reference and dtype == "float64"
    with adapter.observe(model, before=before if keeps_inputs else None, after=after):
        outputs = recorder.forward(model, batch, dtype)
    for name, tensor in outputs.items():
        add(f"{start}{name}", adapter.array(tensor))


def _forced(recorder: Recorder, model: Any, batch: Batch, run: str) -> None:
    given, adapter, add = recorder.given_recording(NAME), recorder.adapter, recorder.writer.add
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


def judge_step(evidence: Evidence) -> Verdict:
    """Structure and weights exact; outputs by float64 and noise; forced modules name the place."""
    structure = parameters(evidence) + _configuration(evidence)
    forced = [f for run in _runs(evidence) for f in _judge_forced(evidence, run)]
    free = [f for run in _runs(evidence) for f in _judge_free(evidence, run)]
    at_fault = [f for f in forced if f.outcome is Outcome.DIVERGED]
    blame = [f for f in structure if f.outcome is Outcome.DIVERGED] + at_fault
    missing = [] if _runs(evidence) else [judge.inconclusive("", "no batch was recorded")]
    gaps, modules = _growth(evidence)
    return judge.conclude(
        NUMBER,
        TITLE,
        [*structure, *forced, *free, *missing],
        blame=blame,
        coverage=_coverage(evidence),
        notes=evidence.notes() + _unpaired(evidence),
        means=_means(evidence),
        series=gaps,
        details={"modules": modules, "at fault": list(dict.fromkeys(f.name for f in at_fault))},
    )


def _runs(evidence: Evidence) -> list[str]:
    runs: list[str] = evidence.reference.facts.get("runs", [])
    return runs


def parameters(evidence: Evidence) -> list[Finding]:
    """Every parameter after transfer: names, shapes, dtypes, every element."""
    ours, theirs = evidence.reference_model, evidence.candidate_model
    left, right = ours.below("parameter/"), theirs.below("parameter/")
    pairs = pairing.pair(left, right, evidence.rules)
    findings: list[Finding] = []
    for side, alone in (("candidate", pairs.reference_only), ("reference", pairs.candidate_only)):
        findings += [f for n in alone for f in evidence.missing(n, side, "parameter")]
    shapes = {n: tuple(ours.entry(f"parameter/{n}")["shape"]) for n in left}
    for p in pairs.pairs:
        arrays = {n: theirs.array(f"parameter/{n}") for n in p.candidate}
        single = pairing.Pairing((p,), (), ())
        faced = pairing.to_reference(single, arrays, shapes)
        for name in p.reference:
            reference = ours.array(f"parameter/{name}")
            if name in faced:
                findings.append(judge.exact(name, candidate=faced[name], reference=reference))
            else:
                sizes = " + ".join(str(a.shape) for a in arrays.values())
                message = f"{sizes} cannot be laid out as {reference.shape}"
                findings.append(Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf))
    ours_trained = set(ours.facts.get("trainable", ()))
    theirs_trained = set(theirs.facts.get("trainable", ()))
    for p in pairs.pairs:
        for a in p.reference:
            if (a in ours_trained) is not all(n in theirs_trained for n in p.candidate):
                text = "is trained on one side only"
                findings.append(Finding(a, "exact", Outcome.DIVERGED, text, ratio=np.inf))
    return findings


def _configuration(evidence: Evidence) -> list[Finding]:
    names = evidence.module_names()
    ours = evidence.reference_model.facts.get("configuration", {})
    theirs = evidence.candidate_model.facts.get("configuration", {})
    findings = []
    for name, values in theirs.items():
        reference = ours.get(names.get(name, name))
        if reference is not None:
            findings += judge.facts(
                name,
                candidate={k: v for k, v in values.items() if k not in STEP_6},
                reference={k: v for k, v in reference.items() if k not in STEP_6},
                what="setting",
            )
    return findings


def _faced(evidence: Evidence, recording: Recording, start: str) -> Iterator[tuple[str, str, str]]:
    """(reference's array name, candidate's array name, module) below `start`, in order."""
    names = {ours: theirs for theirs, ours in evidence.module_names().items()}
    for name in recording.below(start):
        module, run, rest = name.partition("#")
        yield name, f"{names.get(module, module)}{run}{rest}", module


def _mask(evidence: Evidence, run: str) -> Array | None:
    prefix, _, number = run.rpartition("/")
    name = f"given/{prefix + '/' if prefix else ''}batch/{number}/{evidence.mask}"
    return evidence.reference.array(name) if name in evidence.reference else None


def _judge_free(evidence: Evidence, run: str) -> list[Finding]:
    ours, theirs, findings = evidence.reference, evidence.candidate, []
    mask, hard, known = _mask(evidence, run), evidence.hard_float32(), set(evidence.candidate.names)
    one_sided = _one_sided(evidence)
    for dtype in PRECISIONS:
        start, softened, seen = f"{dtype}/{run}/", dtype == "float32", set()
        for name, faced, module in _faced(evidence, ours, start):
            softened = softened or module in hard or ("#" not in name and bool(hard))
            seen.add(start + faced)
            if module in one_sided and "#" in name:
                continue
            if start + faced not in known:
                findings.append(judge.missing(start + name, "candidate"))
                continue
            c, r = theirs.array(start + faced), ours.array(start + name)
            truth = ours.array(f"float64/{run}/{name}")
            own = ours.array(f"float32/{run}/{name}")
            findings += _by_parts(start + name, (c, r, own, truth), mask, softened)
        for name in theirs.below(start):
            module = name.partition("#")[0]
            if start + name not in seen and not ("#" in name and module in one_sided):
                findings.append(judge.missing(start + name, "reference"))
    return findings


def _by_parts(
    name: str, arrays: tuple[Array, Array, Array, Array], mask: Array | None, softened: bool
) -> list[Finding]:
    c, r, own, truth = arrays
    if c.dtype.kind != "f" or c.shape != r.shape:
        return [judge.exact(name, candidate=c, reference=r)]
    findings = []
    parts = zip(*(judge.split_by_mask(a, mask) for a in (c, r, own, truth)), strict=True)
    for (label, c_part), (_, r_part), (_, own_part), (_, truth_part) in parts:
        if softened:
            found = judge.noise(
                name + label, candidate=c_part, reference=own_part, truth=truth_part
            )
        else:
            found = judge.float64(name + label, candidate=c_part, reference=r_part)
        findings.append(found)
    return findings


def _judge_forced(evidence: Evidence, run: str) -> list[Finding]:
    """Leaf modules fed the reference's inputs, and the glue between them, in float64."""
    ours, theirs, findings = evidence.reference, evidence.candidate, []
    names, hard, known = evidence.module_names(), evidence.hard_float32(), set(ours.names)
    mask = _mask(evidence, run)
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
        softened = bool(around or (inside and not is_input))
        own = ours.array(faced.replace("float64/", "float32/", 1)) if not is_input else r
        label = f"glue before {module}" if is_input else module
        found = _by_parts(label, (c, r, own, r), mask, softened and not is_input)
        findings += [_named(f, run) for f in found]
    return findings


def _named(finding: Finding, run: str) -> Finding:
    if finding.outcome is Outcome.ALIGNED:
        return replace(finding, name=f"forced/{run}/{finding.name}")
    return replace(finding, message=f"on the reference's inputs: {finding.message} (batch {run})")


def _one_sided(evidence: Evidence) -> set[str]:
    names = evidence.module_names()
    ours = evidence.reference_model.facts.get("modules", {})
    theirs = evidence.candidate_model.facts.get("modules", {})
    return {m for m in ours if m not in names.values()} | {m for m in theirs if m not in names}


def _unpaired(evidence: Evidence) -> tuple[str, ...]:
    notes = []
    for name in evidence.alone():
        why = evidence.why_unpaired(name)
        notes += [f"{name} faces nobody: {why}"] if why else []
    alone = sorted(_one_sided(evidence) - {""})
    if alone:
        text = f"{len(alone)} modules run on one side only and are compared by nothing: "
        notes.append(text + ", ".join(alone[:5]))
    return tuple(notes)


def _coverage(evidence: Evidence) -> Mapping[str, int]:
    ours, model = evidence.reference, evidence.reference_model
    compared = [n for n in ours.names if n.startswith(PRECISIONS)]
    return {
        "parameters": len(model.below("parameter/")),
        "parameter elements": elements(
            model, [n for n in model.names if n.startswith("parameter/")]
        ),
        "modules": len(model.facts.get("modules", {})),
        "batches": len(_runs(evidence)),
        "arrays": len(compared),
        "elements": elements(ours, compared),
    }


def _means(evidence: Evidence) -> dict[str, tuple[float | None, float | None]]:
    """Per named output, the mean absolute difference over all batches in either precision."""
    known = set(evidence.candidate.names)
    result: dict[str, tuple[float | None, float | None]] = {}
    gathered: dict[str, dict[str, list[Array]]] = {}
    for run in _runs(evidence):
        for dtype in PRECISIONS:
            for name in evidence.reference.below(f"{dtype}/{run}/"):
                full = f"{dtype}/{run}/{name}"
                if "#" in name or full not in known:
                    continue
                c, r = evidence.candidate.array(full), evidence.reference.array(full)
                if c.shape == r.shape and c.dtype.kind == "f":
                    gap = np.abs(c.astype(np.float64) - r).reshape(-1)
                    gathered.setdefault(name, {}).setdefault(dtype, []).append(gap)
    for name, gaps in gathered.items():
        mean32, mean64 = (
            float(np.concatenate(gaps[d]).mean()) if d in gaps else None
            for d in ("float32", "float64")
        )
        result[name] = (mean32, mean64)
    return result


def _growth(evidence: Evidence) -> tuple[dict[str, tuple[float, ...]], list[str]]:
    """Relative gap per module in order of execution, on the first batch."""
    if not _runs(evidence):
        return {}, []
    run, known = _runs(evidence)[0], set(evidence.candidate.names)
    modules: list[str] = []
    gaps: dict[str, list[float]] = {"gap/float32": [], "gap/float64": []}
    for name, faced, _ in _faced(evidence, evidence.reference, f"float64/{run}/"):
        both = all(f"{d}/{run}/{faced}" in known for d in PRECISIONS)
        truth = evidence.reference.array(f"float64/{run}/{name}")
        scale = rms(truth) if truth.dtype.kind == "f" else 0.0
        if not both or not scale or not name.endswith(".output.0"):
            continue
        pair = [evidence.candidate.array(f"{d}/{run}/{faced}") for d in PRECISIONS]
        if any(a.shape != truth.shape for a in pair):
            continue
        modules.append(name.removesuffix(".output.0").removesuffix("#0"))
        gaps["gap/float64"].append(rms(pair[0] - truth) / scale)
        gaps["gap/float32"].append(rms(pair[1].astype(np.float64) - truth) / scale)
    return {key: tuple(values) for key, values in gaps.items()}, modules
