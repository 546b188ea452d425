"""Step 6: weight decay, clipping and dropout act on the same things in the same way."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.adapters import Applied, DropoutCall
from modelparity.diagnose import Hint
from modelparity.errors import UnreachableDropout
from modelparity.masks import keep_mask
from modelparity.model import Finding, Outcome, Verdict
from modelparity.steps.evidence import UPDATED, Comparison, Evidence, compare, elements
from modelparity.steps.forced import judge_forced, record_forced, recording_modules
from modelparity.steps.optimizer import NORM, apply, reference_gradients
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder, Settings
from modelparity.steps.why_forward import why_forced
from modelparity.steps.why_updates import why_clipped, why_decay, why_set, why_sites

NUMBER, NAME, TITLE = 6, "regularisation", "regularisation"
CLAIM = "decay per parameter and its coupling, clipped gradients, every dropout site"

MASKED, RUN = "masked/", "0"  # how names begin of what modules make under masks; the batch
SMALL, LARGE = 1.0, 100.0 / NORM  # times recorded gradients of norm NORM: 0.01 and 100
UPDATES = 2

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Record decayed parameters, the gradients behind the clipping, and dropout under masks."""
    gradients = recorder.shared_arrays(NAME, "gradient", lambda: reference_gradients(recorder))
    weights = recorder.initial_weights()
    for dtype in PRECISIONS:
        for prefix, settings in recorder.variants(NAME):
            _decay(recorder, settings, (weights, gradients), f"{dtype}/decay/{prefix}")
        _clip(recorder, weights, gradients, dtype)
    _dropout(recorder, weights)


def _decay(
    recorder: Recorder, settings: Settings, given: tuple[dict[str, Array], ...], start: str
) -> None:
    """Updates from zero gradients show the decay alone; others show what it is coupled with."""
    weights, gradients = given
    zeros = {n: np.zeros_like(array) for n, array in weights.items() if n in gradients}
    _decayed(recorder, settings, (weights, zeros), f"{start}zero/")
    _decayed(recorder, settings, given, f"{start}gradient/")
    recorder.progress(f"weight decay, {start.partition('/')[0]}", 1, 1)


def _decayed(
    recorder: Recorder, settings: Settings, given: tuple[dict[str, Array], ...], start: str
) -> None:
    weights, gradients = given
    model = recorder.build(settings, weights, start.partition("/")[0], training=True)
    built = recorder.call("build_optimizer", model, settings, UPDATES)
    decay = recorder.adapter.optimizer_configuration(model, built[0]).get("decay", {})
    recorder.writer.facts["decay"] = recorder.by_reference_name(decay)
    for _ in range(UPDATES):
        apply(recorder, model, built, gradients, settings=settings, factor=1.0)
    recorder.add_parameters(start, recorder.adapter.parameters(model))


def _clip(
    recorder: Recorder, weights: dict[str, Array], gradients: dict[str, Array], dtype: str
) -> None:
    """What reaches the optimizer's rule, for gradients below and above any usual limit."""
    for label, factor in (("below", SMALL), ("above", LARGE)):
        reached = _reached(recorder, (weights, gradients), dtype, factor)
        if reached:
            recorder.add_parameters(f"{dtype}/clip/{label}/", reached[0])
    recorder.progress(f"clipping, {dtype}", 1, 1)


def _reached(
    recorder: Recorder, given: tuple[dict[str, Array], ...], dtype: str, factor: float
) -> list[dict[str, Array]]:
    weights, gradients = given
    model = recorder.build(recorder.settings, weights, dtype, training=True)
    built = recorder.call("build_optimizer", model, recorder.settings, UPDATES)
    reached: list[dict[str, Array]] = []

    def note(applied: Applied) -> None:
        reached.append(applied.gradients())

    with recorder.adapter.watch_updates(model, built[0], note):
        apply(recorder, model, built, gradients, settings=recorder.settings, factor=factor)
    return reached


def _dropout(recorder: Recorder, weights: dict[str, Array]) -> None:
    """Every dropout site in training and evaluation mode, and outputs under shared masks."""
    batch = recorder.shared_batches(
        NAME, "batch", lambda: [next(iter(recorder.call("sample_batches", recorder.settings)))]
    )[0]
    facts = recorder.writer.facts
    for dtype in PRECISIONS:
        for mode in ("training", "evaluation"):
            model = recorder.build(recorder.settings, weights, dtype, training=mode == "training")
            sites: dict[str, dict[str, object]] = {}
            try:
                with recorder.adapter.dropout(model, _noting(recorder, sites)):
                    outputs = recorder.forward(model, batch, dtype)
            except UnreachableDropout as error:
                facts["unreachable"] = str(error)
                return
            facts[f"{mode} sites"] = sites
            for name, tensor in outputs.items():
                array = recorder.adapter.array(tensor)
                recorder.writer.add(f"{dtype}/dropout/{mode}/{name}", array)
    _masked(recorder, weights, batch)


def _masked(recorder: Recorder, weights: dict[str, Array], batch: Batch) -> None:
    """Every module under shared masks, in training mode and float64; of the candidate, forced."""
    model = recorder.build(recorder.settings, weights, "float64", training=True)
    with recorder.adapter.dropout(model, _noting(recorder, {})):
        if recorder.is_reference:
            run = f"float64/{RUN}/"
            with recording_modules(recorder, model, run, inputs=True, start=MASKED):
                recorder.forward(model, batch, "float64")
        else:
            record_forced(recorder, model, batch, RUN, step=NAME, start=MASKED)


def _noting(recorder: Recorder, sites: dict[str, dict[str, object]]) -> Any:
    seed = int(recorder.settings.get("seed", 0))

    def draw(call: DropoutCall) -> Array:
        site = recorder.reference_module(call.site)
        sites[f"{site}#{call.index}"] = {
            "rate": call.rate,
            "active": call.active,
            "scale": call.scale if call.active else 1.0,
            "shape": list(call.shape),
        }
        return keep_mask((seed, 0, site, call.index), call.shape, call.rate)

    return draw


def judge_step(evidence: Evidence) -> Verdict:
    """Sites, rates and decay exact; clipped gradients, outputs and updated parameters by float64.

    Parameters are judged as updates: Paddle keeps a decay coefficient in float32, and 0.01 in it is
    2.2e-8 off, which a rate of 4e-3 turns into 1.8e-12 of a parameter in two updates.
    """
    ours, theirs = evidence.reference, evidence.candidate
    decays = [side.facts.get("decay", {}) for side in (theirs, ours)]
    candidate, reference = (
        {n: v for n, v in decay.items() if n in other or not evidence.why_unpaired(n)}
        for decay, other in zip(decays, reversed(decays), strict=True)
    )
    findings = judge.facts("decay", candidate=candidate, reference=reference, what="decay")
    dropouts, at_fault = _dropouts(evidence)
    findings += dropouts + _modes(evidence) + at_fault
    findings += compare(evidence, "decay/", replace(UPDATED, modules=False))
    findings += compare(evidence, "clip/", Comparison(modules=False))
    for label in ("below", "above"):
        if not ours.below(f"float64/clip/{label}/"):
            findings.append(judge.inconclusive("clip", "no update reached the optimizer"))
    compared = [n for n in ours.names if n.startswith(PRECISIONS)]
    return judge.conclude(
        NUMBER,
        TITLE,
        findings if compared else [],
        blame=_blame(findings, at_fault),
        coverage={
            "decay coefficients": len(ours.facts.get("decay", {})),
            "dropout sites": len(ours.facts.get("training sites", {})),
            "arrays": len(compared),
            "elements": elements(ours, compared),
        },
        notes=evidence.notes(),
        why=lambda finding: _why(evidence, finding),
        details={"sites": ours.facts.get("training sites", {})},
    )


def _dropouts(evidence: Evidence) -> tuple[list[Finding], list[Finding]]:
    """Sites, and outputs under masks; only what is unreachable where masks do not reach it.

    Second, which modules make something else of the reference's inputs under the same masks.
    """
    sides = (("reference", evidence.reference), ("candidate", evidence.candidate))
    unreachable = [
        judge.inconclusive("dropout", f"the {side}'s dropout: {recording.facts['unreachable']}")
        for side, recording in sides
        if "unreachable" in recording.facts
    ]
    if unreachable:
        return unreachable, []
    modes = ("training sites", "evaluation sites")
    sites = [found for key in modes for found in _sites(evidence, key)]
    return sites + compare(evidence, "dropout/"), judge_forced(evidence, RUN, MASKED)


def _blame(findings: list[Finding], at_fault: list[Finding]) -> list[Finding]:
    """What is set otherwise, then modules at fault, then what follows of them."""
    diverged = [f for f in findings if f.outcome is Outcome.DIVERGED]
    places = {id(f) for f in at_fault}
    told = [f for f in diverged if f.diff is None]
    measured = [f for f in diverged if f.diff is not None and id(f) not in places]
    if not any("/zero/" in f.name for f in measured):  # then the clipping, not the decay, is off
        measured.sort(key=lambda f: f.name.partition("/")[2].startswith("decay/"))
    return [*told, *(f for f in at_fault if f.outcome is Outcome.DIVERGED), *measured]


def _why(evidence: Evidence, finding: Finding) -> Iterable[Hint]:
    """What would explain a finding, by what it is about."""
    if finding.source:
        return why_forced(evidence, finding)
    part = finding.name.partition("/")[2]
    if part.startswith("clip/"):
        factor = SMALL if part.startswith("clip/below/") else LARGE
        return why_clipped(evidence, finding, factor)
    if part.startswith("decay/"):
        return why_decay(evidence, finding, UPDATES)
    if finding.name.startswith("decay."):
        decays = [side.facts.get("decay", {}) for side in (evidence.candidate, evidence.reference)]
        return why_set(*decays)
    for sites in ("training sites", "evaluation sites"):
        if finding.name.startswith(sites):
            sides = (evidence.candidate, evidence.reference)
            found = [side.facts.get(sites, {}) for side in sides]
            return why_sites(finding.name.rpartition(".")[2], *found)
    return ()


def _sites(evidence: Evidence, key: str) -> list[Finding]:
    ours = evidence.reference.facts.get(key, {})
    theirs = evidence.candidate.facts.get(key, {})
    findings = []
    for site in dict.fromkeys([*ours, *theirs]):
        # A site that drops nothing need not exist on the other side.
        quiet = {"rate": 0.0, "active": False, "scale": 1.0, "shape": []}
        reference, candidate = ours.get(site, quiet), theirs.get(site, quiet)
        if not reference["active"] and not candidate["active"]:
            found = [Finding(f"{key} {site}", "exact", Outcome.ALIGNED)]
        else:
            found = judge.facts(
                f"{key} {site}", candidate=candidate, reference=reference, what="dropout"
            )
        findings += found
    return findings


def _modes(evidence: Evidence) -> list[Finding]:
    """Dropout modules' own settings, where both sides have them."""
    findings = []
    for name, candidate, reference in evidence.settings():
        if "rate" in candidate and "rate" in reference:
            findings += judge.facts(
                name,
                candidate={"rate": candidate["rate"]},
                reference={"rate": reference["rate"]},
                what="setting",
            )
    return findings
