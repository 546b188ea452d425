"""Step 3: loss and metrics over whole splits, on weights that the reference has trained."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.adapters import DropoutCall
from modelparity.diff import measure
from modelparity.errors import UnreachableDropout
from modelparity.masks import keep_mask
from modelparity.model import Finding, Outcome, Verdict
from modelparity.steps.evidence import Evidence, elements
from modelparity.steps.recorder import PRECISIONS, Recorder
from modelparity.steps.updates import Training, first_batches, train
from modelparity.steps.why_metrics import ACTIVE, why

Array = np.ndarray[Any, Any]

NUMBER, NAME, TITLE = 3, "metrics", "metrics and loss"
CLAIM = "loss, scores and every decision over all of the evaluation splits"
UPDATES = 150  # unless the settings have trained_updates


def record(recorder: Recorder) -> None:
    """Evaluate both precisions on weights that the reference trains first, in float32."""
    recorder.require("evaluate")
    weights = recorder.shared_arrays(NAME, "trained", lambda: _train(recorder))
    for dtype in PRECISIONS:
        model = recorder.build(recorder.settings, weights, dtype)
        for number, split in enumerate(recorder.case.splits):
            first = dtype == "float64" and number == 0
            found = (_watched if first else _evaluated)(recorder, model, split)
            for name, value in found.items():
                recorder.writer.add(f"{dtype}/{split}/{name}", np.asarray(value))
            recorder.progress(f"evaluation, {dtype}", number + 1, len(recorder.case.splits))


def _evaluated(recorder: Recorder, model: Any, split: str) -> dict[str, Any]:
    found: dict[str, Any] = recorder.call("evaluate", model, recorder.settings, split)
    return found


def _watched(recorder: Recorder, model: Any, split: str) -> dict[str, Any]:
    """The same, and at how many sites dropout acts meanwhile; it should at none."""
    active: set[str] = set()

    def draw(call: DropoutCall) -> Array:
        if call.active:
            active.add(f"{call.site}#{call.index}")
        return keep_mask((call.site, call.index), call.shape, call.rate)

    try:
        with recorder.adapter.dropout(model, draw):
            return _evaluated(recorder, model, split)
    except UnreachableDropout:  # one that acts
        active.add("")
        return _evaluated(recorder, model, split)
    finally:
        recorder.writer.facts[ACTIVE] = len(active)


def _train(recorder: Recorder) -> dict[str, Array]:
    settings = recorder.settings
    batches = first_batches(recorder, settings, int(settings.get("trained_updates", UPDATES)))
    model = recorder.build(settings, recorder.initial_weights(), "float32", training=True)
    for _ in train(recorder, model, settings, batches, Training("float32", "training first")):
        pass
    return recorder.adapter.parameters(model)


def judge_step(evidence: Evidence) -> Verdict:
    """Decisions exact in float64 and counted in float32; scores and losses by float64 and noise."""
    ours, theirs = evidence.reference, evidence.candidate
    findings: list[Finding] = []
    means: dict[str, tuple[float | None, float | None]] = {}
    for name in ours.below("float64/"):
        pair64 = f"float64/{name}", f"float32/{name}"
        absent = [n for n in pair64 if n not in theirs]
        if absent:
            findings += [judge.missing(n, "candidate") for n in absent]
            continue
        findings += _compare(evidence, name)
        if ours.array(pair64[0]).ndim == 0:
            gaps = [
                abs(float(theirs.array(n)) - float(ours.array(n)))
                for n in reversed(pair64)
                if theirs.array(n).ndim == 0
            ]
            if len(gaps) == 2:
                means[name.replace("/", "_")] = (gaps[0], gaps[1])
    known = set(ours.names)
    extra = [n for n in theirs.names if n not in known]
    findings += [judge.missing(n, "reference") for n in extra]
    findings += _extreme(evidence)
    if findings:
        findings += [
            judge.inconclusive(split, "nothing was evaluated")
            for split in ours.manifest["terms"]["splits"]
            if not ours.below(f"float64/{split}/")
        ]
    return judge.conclude(
        NUMBER,
        TITLE,
        findings,
        blame=_decisions(evidence, findings),
        coverage=_coverage(evidence),
        notes=evidence.notes() + _flip_notes(evidence),
        means=means,
        why=partial(why, evidence),
        details={"scores": _scores(evidence)},
    )


def _decisions(evidence: Evidence, findings: list[Finding]) -> list[Finding]:
    """What is decided otherwise where all that it is decided by agrees: scores follow from it."""
    ours = evidence.reference
    wrong = [f for f in findings if f.outcome is Outcome.DIVERGED and f.name in ours]
    several = [f for f in wrong if ours.array(f.name).ndim]
    decided = [f for f in several if ours.array(f.name).dtype.kind in "iu"]
    return decided if len(decided) == len(several) else []


def _compare(evidence: Evidence, name: str) -> list[Finding]:
    ours, theirs = evidence.reference, evidence.candidate
    r64, c64 = ours.array(f"float64/{name}"), theirs.array(f"float64/{name}")
    r32, c32 = ours.array(f"float32/{name}"), theirs.array(f"float32/{name}")
    soft = bool(evidence.hard_float32)
    split = name.partition("/")[0]
    if r64.dtype.kind != "f":
        if soft:
            first = _flips(f"float64/{name}", c64, r32, r64, least=1)
        else:
            first = judge.exact(f"float64/{name}", candidate=c64, reference=r64)
        return [first, _flips(f"float32/{name}", c32, r32, r64)]
    if soft:
        first = judge.noise(
            f"float64/{name}", candidate=c64, reference=r32, truth=r64, softened=True
        )
        if _is_score(name, r64) and first.outcome is Outcome.DIVERGED:
            first = _excused(first, evidence, f"float64/{split}/")
    else:
        first = judge.float64(f"float64/{name}", candidate=c64, reference=r64)
    second = judge.noise(f"float32/{name}", candidate=c32, reference=r32, truth=r64)
    if _is_score(name, r64) and second.outcome is Outcome.DIVERGED:
        second = _excused(second, evidence, f"float32/{split}/")
    return [first, second]


def _flips(
    name: str, candidate: Array, reference: Array, truth: Array, least: float = judge.NOISE_FACTOR
) -> Finding:
    """Float32 decisions: flips against the float64 reference, at most ten times its own.

    least  how many are allowed where its own are none; one where the run is of float64 with
    modules that compute in float32
    """
    if candidate.shape != truth.shape or candidate.dtype != truth.dtype:
        return judge.exact(name, candidate=candidate, reference=truth)
    diff = measure(candidate=candidate, reference=truth)
    own = int(np.count_nonzero(reference != truth)) if reference.shape == truth.shape else 0
    allowed = max(least, judge.NOISE_FACTOR * own)
    ratio = diff.unequal / allowed
    if ratio <= 1.0:
        return Finding(name, "noise", Outcome.ALIGNED, ratio=ratio, diff=diff)
    message = f"{diff.unequal} decisions flip where {allowed:.0f} are allowed"
    return Finding(name, "noise", Outcome.DIVERGED, message, ratio=ratio, diff=diff)


def _excused(finding: Finding, evidence: Evidence, start: str) -> Finding:
    """A rounded score may move by what its side's own flipped decisions, below `start`, explain."""
    ours, theirs = evidence.reference, evidence.candidate
    moved = 0.0
    for name in ours.below(start):
        truth = ours.array(f"float64/{start.partition('/')[2]}{name}")
        rounded = theirs.array(start + name)
        if truth.dtype.kind in "iu" and truth.shape == rounded.shape and truth.size:
            moved = max(moved, 2.0 * float(np.mean(truth != rounded)))
    if finding.diff is not None and moved > 0.0 and finding.diff.max_abs <= moved:
        ratio = finding.diff.max_abs / moved
        return replace(finding, outcome=Outcome.ALIGNED, message="", ratio=ratio)
    return finding


def _is_score(name: str, array: Array) -> bool:
    last = name.rpartition("/")[2]
    return array.ndim == 0 and array.dtype.kind == "f" and not last.endswith("loss")


def _extreme(evidence: Evidence) -> list[Finding]:
    """Scores of 0 or 1 show nothing: a scorer that always says so would pass."""
    findings = []
    for name in evidence.reference.below("float64/"):
        value = evidence.reference.array(f"float64/{name}")
        if _is_score(name, value) and not 0.0 < float(value) < 1.0:
            message = f"the reference scores {float(value):g}, which proves nothing"
            hint = "train longer first (trained_updates), or choose other data"
            findings.append(judge.inconclusive(name, message, hint))
    return findings


def _flip_notes(evidence: Evidence) -> tuple[str, ...]:
    ours, theirs, notes = evidence.reference, evidence.candidate, []
    for name in ours.below("float64/"):
        truth, full = ours.array(f"float64/{name}"), f"float32/{name}"
        if truth.dtype.kind in "iu" and full in theirs:
            faced = theirs.array(full)
            flips = int(np.count_nonzero(faced != truth)) if faced.shape == truth.shape else 0
            if flips:
                notes.append(f"{flips} of {truth.size} {name} flip in float32")
    return tuple(notes)


def _coverage(evidence: Evidence) -> dict[str, int]:
    ours = evidence.reference
    compared = [f"{d}/{n}" for d in PRECISIONS for n in ours.below(f"{d}/")]
    decisions = [n for n in compared if ours.array(n).dtype.kind in "iu"]
    return {
        "values": len(compared),
        "decisions": elements(ours, decisions),
        "elements": elements(ours, compared),
        "updates before": int(ours.manifest["settings"].get("trained_updates", UPDATES)),
    }


def _scores(evidence: Evidence) -> dict[str, list[float]]:
    """name -> [reference float64, candidate float64] of every scalar."""
    table = {}
    for name in evidence.reference.below("float64/"):
        full = f"float64/{name}"
        if full in evidence.candidate and evidence.reference.array(full).ndim == 0:
            faced = evidence.candidate.array(full)
            if faced.ndim == 0:
                table[name] = [float(evidence.reference.array(full)), float(faced)]
    return table
