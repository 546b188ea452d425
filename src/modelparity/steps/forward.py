"""Step 1: the port computes what the reference computes, module by module."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diff import rms
from modelparity.model import Finding, Outcome, Verdict
from modelparity.pairing import GUESSED
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence, compare_parts, elements, spread
from modelparity.steps.forced import judge_forced, record_forced, recording_modules
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder
from modelparity.steps.stirred import stirred_weights
from modelparity.steps.structure import configuration, parameters, runs
from modelparity.steps.why_forward import why

NUMBER, NAME, TITLE = 1, "forward", "forward"
CLAIM = "same structure, weights after transfer, module outputs, logits and loss"

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Record every module's outputs on the sample batches, free in both precisions.

    In float64 the reference also records its leaf modules' inputs, and the candidate runs once
    more *forced*: each leaf gets the reference's inputs, and its outputs are replaced by the
    reference's, so that only what a module itself gets wrong can be seen in it.
    """
    weights = stirred_weights(recorder)
    recorded: list[str] = []
    counts: dict[str, int] = {}
    for prefix, settings in recorder.variants(NAME):
        samples = partial(recorder.call, "sample_batches", settings)
        batches = recorder.shared_batches(NAME, f"{prefix}batch", samples)
        counts[prefix.rstrip("/")] = len(batches)
        for dtype in PRECISIONS:
            model = recorder.build(settings, weights, dtype)
            for number, batch in enumerate(batches):
                run = f"{prefix}{number}"
                _free(recorder, model, batch, f"{dtype}/{run}/", dtype)
                if dtype == "float64" and not recorder.is_reference:
                    record_forced(recorder, model, batch, run, step=NAME)
                recorder.progress(f"forward, {dtype}", number + 1, len(batches))
        recorded += [f"{prefix}{number}" for number in range(len(batches))]
    recorder.writer.facts["runs"] = recorded
    recorder.writer.facts["samples"] = counts


def _free(recorder: Recorder, model: Any, batch: Batch, start: str, dtype: str) -> None:
    keeps_inputs = recorder.is_reference and dtype == "float64"
    with recording_modules(recorder, model, start, inputs=keeps_inputs):
        outputs = recorder.forward(model, batch, dtype)
    for name, tensor in outputs.items():
        recorder.writer.add(f"{start}{name}", recorder.adapter.array(tensor))


def judge_step(evidence: Evidence) -> Verdict:
    """Structure and weights exact; outputs by float64 and noise; forced modules name the place."""
    structure = parameters(evidence) + configuration(evidence)
    forced = [f for run in _runs(evidence) for f in judge_forced(evidence, run)]
    free = [f for run in _runs(evidence) for f in _judge_free(evidence, run)]
    at_fault = [f for f in forced if f.outcome is Outcome.DIVERGED]
    often = [f for run in _runs(evidence) for f in runs(evidence, run)]
    blame = [f for f in structure if f.outcome is Outcome.DIVERGED] + often + at_fault
    counts = evidence.reference.facts.get("samples", {})
    empty = [variant for variant, count in counts.items() if not count]
    empty = empty if empty or _runs(evidence) else [""]
    missing = [judge.inconclusive(variant, "no batch was recorded") for variant in empty]
    gaps, modules = _growth(evidence)
    return judge.conclude(
        NUMBER,
        TITLE,
        [*structure, *often, *forced, *free, *missing],
        blame=blame,
        why=partial(why, evidence),
        coverage=_coverage(evidence),
        notes=evidence.notes() + _unpaired(evidence) + _paired(evidence),
        means=_means(evidence),
        series=gaps,
        details={"modules": modules, "at fault": list(dict.fromkeys(f.name for f in at_fault))},
    )


def _runs(evidence: Evidence) -> list[str]:
    recorded: list[str] = evidence.reference.facts.get("runs", [])
    return recorded


def _faced(evidence: Evidence, recording: Recording, start: str) -> Iterator[tuple[str, str, str]]:
    """(reference's array name, candidate's array name, module) below `start`, in order."""
    names = {ours: theirs for theirs, ours in evidence.module_names.items()}
    for name in recording.below(start):
        module, run, rest = name.partition("#")
        yield name, f"{names.get(module, module)}{run}{rest}", module


def _judge_free(evidence: Evidence, run: str) -> list[Finding]:
    ours, theirs, findings = evidence.reference, evidence.candidate, []
    mask, hard = evidence.batch_mask(run), evidence.hard_float32
    known, one_sided = set(theirs.names), _one_sided(evidence)
    rounding = judge.group_rounding(
        (ours.array(f"float32/{run}/{name}"), ours.array(f"float64/{run}/{name}"))
        for name in ours.below(f"float64/{run}/")
        if f"float32/{run}/{name}" in ours
    )
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
            granted = rounding if softened else None
            arrays = spread(c, r, own, truth) if "#" in name else (c, r, own, truth)
            findings += compare_parts(start + name, arrays, mask, granted)
        for name in theirs.below(start):
            module = name.partition("#")[0]
            if start + name not in seen and not ("#" in name and module in one_sided):
                findings.append(judge.missing(start + name, "reference"))
    return findings


def _one_sided(evidence: Evidence) -> set[str]:
    names = evidence.module_names
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
        text = "1 module runs" if len(alone) == 1 else f"{len(alone)} modules run"
        notes.append(f"{text} on one side only, compared by nothing: {', '.join(alone[:5])}")
    return tuple(notes)


def _paired(evidence: Evidence) -> tuple[str, ...]:
    """What no rule and no equal name paired, and what did."""
    found: dict[str, list[str]] = {}
    for p in evidence.pairs.pairs:
        if p.by in GUESSED:
            found.setdefault(p.by, []).append(f"{p.reference[0]} with {p.candidate[0]}")
    return tuple(
        f"{len(pairs)} parameters are paired by {by}: {', '.join(pairs[:3])}"
        for by, pairs in found.items()
    )


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
