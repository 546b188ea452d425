"""Step 10: both sides trained on the same batches, dropout on, from the same weights."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diagnose import Hint, curves
from modelparity.model import Finding, Outcome, Verdict
from modelparity.recording import Recording
from modelparity.steps import backward, end_scores, equivalence
from modelparity.steps.again import START as AGAIN
from modelparity.steps.again import weighed
from modelparity.steps.epoch import UPDATES, arrays_of, losses, run_again, trained_under
from modelparity.steps.evidence import UPDATED, Evidence, compare
from modelparity.steps.recorder import Batch, Recorder
from modelparity.steps.trace import Trace
from modelparity.steps.updates import Training, first_batches
from modelparity.steps.why_later import wrong_later
from modelparity.steps.why_training import first_apart, why_training
from modelparity.steps.why_updates import why_curve

NUMBER, NAME, TITLE = 10, "training", "training"
CLAIM = "losses of both sides trained alike, dropout by shared masks, and the scores they end with"

# The setting of a case that says how many epochs the float32 run takes: 0 for all of `epochs`.
LOCKSTEP = "lockstep_epochs"

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Train 50 updates in float64 and whole epochs in float32; `envelope` nudges the reference."""
    weights = recorder.initial_weights()
    batches = recorder.shared_batches(NAME, "batch", lambda: _batches(recorder))
    updates = {"float64": UPDATES, "float32": len(batches)}
    for dtype, count in updates.items():
        _run(recorder, weights, batches, dtype, count)
    if not recorder.is_reference:
        run_again(recorder, weights, batches)


def _run(
    recorder: Recorder, weights: dict[str, Array], batches: list[Batch], dtype: str, count: int
) -> None:
    """Train in one precision and record the curve, the parameters on the way, and the scores."""
    settings = trained_under(recorder)
    model = recorder.build(settings, weights, dtype, training=True)
    trace = Trace(recorder, f"{dtype}/") if dtype == "float64" else None
    how = Training(dtype, "training", trace=trace)
    curve = losses(recorder, model, batches, count, how)
    for name, array in arrays_of(recorder, model, curve):
        sketched = name.startswith("trained/")
        recorder.writer.add(f"{dtype}/{name}", array, sketched=sketched)
    if trace:
        trace.write()
    if "evaluate" in recorder.functions:
        recorder.adapter.train(model, False)
        _evaluate(recorder, model, f"{dtype}/score/")
    else:  # the curves can still be compared
        recorder.writer.facts["unscored"] = f"the {recorder.role} side offers no evaluate()"


def _batches(recorder: Recorder) -> list[Batch]:
    settings = recorder.settings
    an_epoch = sum(1 for _ in recorder.call("training_batches", settings, 0))
    epochs = int(settings.get(LOCKSTEP, 1)) or int(settings.get("epochs", 1))
    return first_batches(recorder, settings, max(epochs * an_epoch, UPDATES))


def _evaluate(recorder: Recorder, model: Any, start: str) -> None:
    for split in recorder.case.splits:
        for name, value in recorder.call("evaluate", model, recorder.settings, split).items():
            if np.ndim(value) == 0:
                recorder.writer.add(f"{start}{split}/{name}", np.asarray(value))


def judge_step(evidence: Evidence) -> Verdict:
    """Float64 decides over 50 updates; float32 inside the envelope up to the horizon."""
    ours, theirs, nudged = evidence.reference, evidence.candidate, evidence.beside
    names = [f"{dtype}/training/loss" for dtype in ("float64", "float32")]
    absent = [judge.missing(n, "candidate") for n in names if n not in theirs]
    series: dict[str, Array] = {}
    allowed, horizon = np.zeros(0), None
    if not absent:
        runs = [run.array("loss") for run in nudged]
        allowed, horizon = judge.envelope(ours.array(names[1]), runs, ours.array(names[0]))
        series = _series(evidence, names, allowed)

    def compared(evidence: Evidence) -> list[Finding]:
        curves = absent or _curves(evidence, names, allowed, horizon or 0)
        extra = [n for n in evidence.candidate.names if "/training/" in n and n not in names]
        unknown = [judge.missing(n, "reference") for n in extra]
        return [*curves, *unknown, *_trained(evidence, horizon or 0)]

    findings, again = weighed(evidence, compared)
    findings = _but_for_missing_runs(evidence, findings)
    # Modules in float32 make a clean port's updates part by more than float64 shows.
    findings += [] if evidence.hard_float32 else compare(evidence, "trace/", UPDATED)
    if any(f.outcome is Outcome.DIVERGED for f in findings):
        findings += wrong_later(evidence)
    over_seeds, intervals = equivalence.compared(evidence.trainings)
    learnt_alike = all(f.outcome is Outcome.ALIGNED for f in findings)
    return judge.conclude(
        NUMBER,
        TITLE,
        [*findings, *end_scores.compared(evidence), *over_seeds, *evidence.untrained],
        why=partial(_why, evidence, learnt_alike),
        coverage={
            "float64 updates": UPDATES,
            "float32 updates": int(ours.array(names[1]).size) if names[1] in ours else 0,
            "horizon": _reached(horizon, ours.array(names[1]).size if names[1] in ours else 0),
            "nudged runs": len(nudged),
            **({"seeds": len(evidence.trainings)} if evidence.trainings else {}),
        },
        notes=(
            *evidence.notes(),
            *_horizon_note(horizon, names[1], ours),
            *_runs_note(evidence),
            *again,
            *equivalence.summed_up(intervals, len(evidence.trainings)),
        ),
        series={key: tuple(map(float, values)) for key, values in series.items()},
        details={
            "horizon": horizon,
            "scores": end_scores.side_by_side(evidence),
            **({"equivalence": intervals} if intervals else {}),
        },
    )


def _trained(evidence: Evidence, horizon: int) -> list[Finding]:
    """The parameters behind 50 updates; of float32 beyond the horizon only what is no number.

    A kink of an activation that the reference's float32 run happens to pass as its float64 run
    does, and the nudged runs do not, leaves them farther apart than its own rounding.
    """
    apart: dict[str, float] = {}
    for run in evidence.beside:
        for name in run.below("apart/"):
            apart[name] = max(apart.get(name, 0.0), float(run.array(f"apart/{name}")))
    how = replace(UPDATED, apart=lambda name: apart.get(name, 0.0))
    found = compare(evidence, "trained/", how)
    beyond = horizon < UPDATES
    return [f for f in found if not (beyond and _by_nudged_runs(evidence, f))]


def _by_nudged_runs(evidence: Evidence, finding: Finding) -> bool:
    """Whether what a finding may have left depends on how far nudged runs part."""
    rough = ("float32/", "float64/") if evidence.hard_float32 else ("float32/",)
    return finding.name.removeprefix(AGAIN).startswith(rough) and bool(np.isfinite(finding.ratio))


def _but_for_missing_runs(evidence: Evidence, findings: list[Finding]) -> list[Finding]:
    """The findings, undecided where nudged runs that are not recorded may allow more.

    More runs only widen limits and shorten the horizon: what is aligned stays so.
    """
    if not evidence.unrecorded:
        return findings
    missing = ", ".join(evidence.unrecorded)
    text = f"by {_counted(evidence)} of the reference; without {missing} it is open"
    return [
        replace(f, outcome=Outcome.INCONCLUSIVE, message=f"{f.message}, {text}")
        if f.outcome is Outcome.DIVERGED and _by_nudged_runs(evidence, f)
        else f
        for f in findings
    ]


def _why(evidence: Evidence, learnt_alike: bool, finding: Finding) -> Iterator[Hint]:
    """Which update parts the curves, by which part of it, and what would explain that."""
    if finding.name == "float64/training/loss":
        with np.errstate(all="ignore"):  # a training that fails may hold anything
            found = list(why_training(evidence))
        yield from found
        if len(found) <= 1:  # no cause: at least what it can be, and how they part
            yield from _by_dropout(evidence, finding)
            yield from why_curve(finding)
    elif "/score/" in finding.name and learnt_alike:
        yield Hint(
            "all losses and parameters agree, only the scores differ: another copy of the model is "
            "scored than is trained (an old one, an average), or it is scored otherwise"
        )


def _by_dropout(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """What is left where step 7 made the same updates without dropout."""
    apart = first_apart(evidence)
    if apart and apart[1] not in ("loss", "norm"):  # behind the gradients dropout is past
        return
    first = curves.parting(*finding.compared) if finding.compared else None
    if first is not None and 0 < first < backward.UPDATES:
        yield Hint(
            "where step 7, the same updates without dropout, is aligned, it is dropout: which "
            "masks it draws, or that the gradient passes by another mask than the states"
        )


def _curves(evidence: Evidence, names: list[str], allowed: Array, horizon: int) -> list[Finding]:
    ours, theirs = evidence.reference, evidence.candidate
    r64, c64, r32, c32 = (side.array(n) for n in names for side in (ours, theirs))
    if not horizon:
        return [judge.inconclusive(names[1], "no nudged run shows how far float32 can be judged")]
    fits = c32.shape == r32.shape
    until = slice(0, horizon)
    if evidence.hard_float32:
        decided = min(horizon, r64.size)
        first = judge.trajectory(
            names[0],
            candidate=c64[:decided],
            reference=r64[:decided],
            allowed=allowed[:decided],
        )
    else:
        first = judge.trajectory(
            names[0], candidate=c64, reference=r64, allowed=judge.POINT * np.abs(r64)
        )
    second = judge.trajectory(
        names[1],
        candidate=c32[until] if fits else c32,
        reference=r32[until] if fits else r32,
        allowed=allowed[until],
    )
    findings = [first, second]
    if fits and not np.isfinite(c32).all():
        beyond = int(np.argmin(np.isfinite(c32)))
        message = f"the loss is {c32[beyond]} at update {beyond}"
        diverged = Finding(names[1], "trajectory", Outcome.DIVERGED, message, ratio=np.inf)
        findings.append(diverged)
    return findings


def _reached(horizon: int | None, updates: int) -> int | str:
    """The horizon, unless the run ends before it."""
    return "not reached" if horizon == updates and updates else horizon or 0


def _series(evidence: Evidence, names: list[str], allowed: Array) -> dict[str, Array]:
    (r64, c64), (r32, c32) = (
        (evidence.reference.array(n), evidence.candidate.array(n)) for n in names
    )
    if r32.shape != c32.shape or r64.shape != c64.shape:
        return {}
    return {
        "loss/reference": r32,
        "loss/candidate": c32,
        "allowance": allowed,
        "gap": np.abs(c32 - r32),
        "float64/gap": np.abs(c64 - r64) / np.abs(r64),
    }


def _horizon_note(horizon: int | None, name: str, ours: Recording) -> tuple[str, ...]:
    if not horizon:
        return ()
    if horizon == ours.array(name).size:
        return (f"float32 runs of the reference stay together over all {horizon} updates",)
    return (
        f"float32 is judged up to update {horizon}, where float32 runs of the reference part; "
        "nothing is claimed beyond it but the absence of gross differences",
    )


def _runs_note(evidence: Evidence) -> tuple[str, ...]:
    if not evidence.unrecorded:
        return ()
    text = f"float32 is held to the limits of {_counted(evidence)}; more would only widen them"
    return (text,)


def _counted(evidence: Evidence) -> str:
    count = len(evidence.beside)
    return f"{count} nudged run{'' if count == 1 else 's'}"
