"""Step 7: the gradient of every parameter, and losses over updates on the same batches."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diagnose import Hint, arrays
from modelparity.model import Finding, Outcome, Verdict
from modelparity.recording import Recording
from modelparity.steps.again import Arrays, Run, look_again, weighed
from modelparity.steps.evidence import UPDATED, Evidence, compare, elements, noise_limits
from modelparity.steps.recorder import PRECISIONS, Batch, Recorder
from modelparity.steps.updates import Training, first_batches, train
from modelparity.steps.why_updates import why_curve

NUMBER, NAME, TITLE = 7, "backward", "backward"
CLAIM = "every parameter's gradient; losses, norms and parameters over updates on the same batches"
UPDATES = 20
SCALES = (1.0, 1e-3)  # every second update's gradients are small: both sides of the clip limit
BETWEEN = 2  # modules shown
CURVES = ("loss", "norm", "norm reached")

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Record gradients on the sample batches, then train without dropout."""
    weights = recorder.initial_weights()
    samples = recorder.shared_batches(
        NAME, "sample", lambda: recorder.call("sample_batches", recorder.settings)
    )
    batches = recorder.shared_batches(
        NAME, "batch", lambda: first_batches(recorder, recorder.settings, UPDATES)
    )
    for dtype in PRECISIONS:
        arrays = chain(
            _gradients(recorder, weights, dict(enumerate(samples)), dtype),
            _training(recorder, weights, batches, dtype),
        )
        for name, array in arrays:
            curve = name.startswith("training/")
            recorder.writer.add(f"{dtype}/{name}", array, sketched=not curve)
    if not recorder.is_reference:
        _look_again(recorder, weights, samples, batches)


def _gradients(
    recorder: Recorder, weights: Arrays, samples: Mapping[int, Batch], dtype: str
) -> Iterator[tuple[str, Array]]:
    """Name, as below the precision, and gradient: of every parameter on every batch."""
    model = recorder.build(recorder.settings, weights, dtype)
    for number, batch in samples.items():
        recorder.loss_and_gradients(model, batch, dtype)
        for name, array in recorder.to_reference(recorder.adapter.gradients(model)).items():
            yield f"gradient/{number}/{name}", array


def _training(
    recorder: Recorder, weights: Arrays, batches: list[Batch], dtype: str
) -> Iterator[tuple[str, Array]]:
    """Name, as below the precision, and array: curves, and the parameters at the end."""
    model = recorder.build(recorder.settings, weights, dtype)
    how = Training(dtype, "backward", scales=SCALES, norms=True)
    updates = list(train(recorder, model, recorder.settings, batches, how))
    yield "training/loss", np.array([u.loss for u in updates])
    yield "training/norm", np.array([u.norm for u in updates])
    yield "training/norm reached", np.array([u.reached for u in updates])
    for name, array in recorder.to_reference(recorder.adapter.parameters(model)).items():
        yield f"trained/{name}", array


def _look_again(
    recorder: Recorder, weights: Arrays, samples: list[Batch], batches: list[Batch]
) -> None:
    """Each batch's gradients, and the training, from moved weights where they are beyond."""
    ours = recorder.given_recording(NAME)
    limits = noise_limits(ours, "gradient/")

    def gradients_of(number: int) -> Run:
        batch = {number: samples[number]}
        return lambda moved: dict(_gradients(recorder, moved, batch, "float32"))

    for number in range(len(samples)):
        mine = {n: limit for n, limit in limits.items() if n.startswith(f"gradient/{number}/")}
        look_again(recorder, weights, mine, gradients_of(number))
    curves = {n: partial(_off, ours, n) for n in map("training/{}".format, CURVES)}
    look_again(
        recorder,
        weights,
        {**curves, **noise_limits(ours, "trained/", UPDATED)},
        lambda moved: dict(_training(recorder, moved, batches, "float32")),
    )


def _off(ours: Recording, name: str, curve: Array) -> float:
    r64, r32 = (ours.array(f"{dtype}/{name}") for dtype in PRECISIONS)
    return judge.noise(name, candidate=curve, reference=r32, truth=r64).ratio


def judge_step(evidence: Evidence) -> Verdict:
    """Gradients by float64 and noise; curves point by point; parameters as updates."""
    findings, again = weighed(evidence, _compared)
    gradients = [f for f in findings if "/gradient/" in f.name]
    diverged = [f for f in gradients if f.outcome is Outcome.DIVERGED]
    ours = evidence.reference
    compared = [n for n in ours.names if n.startswith(PRECISIONS)]
    counted = len(ours.below("float64/gradient/0/"))
    nothing = [] if counted else [judge.inconclusive("gradient", "no gradient was recorded")]
    return judge.conclude(
        NUMBER,
        TITLE,
        [*findings, *nothing],
        blame=_in_backward_order(diverged),
        why=partial(_why, evidence, [f.name for f in diverged]),
        coverage={
            "parameters": counted,
            "gradients": len(ours.below("float64/gradient/")),
            "updates": UPDATES,
            "elements": elements(ours, compared),
        },
        notes=evidence.notes() + _norm_note(evidence) + again,
        means=_means(evidence),
        series=_series(evidence),
    )


def _compared(evidence: Evidence) -> list[Finding]:
    gradients = compare(evidence, "gradient/")
    return [*gradients, *_curves(evidence), *compare(evidence, "trained/", UPDATED)]


def _in_backward_order(findings: list[Finding]) -> list[Finding]:
    """The last of the model first, and float64, which is exact, before float32."""
    last_first = findings[::-1]
    return sorted(last_first, key=lambda finding: not finding.name.startswith("float64/"))


def _why(evidence: Evidence, diverged: list[str], finding: Finding) -> Iterator[Hint]:
    """A parameter that nothing reaches, what else differs, or where a curve parts."""
    if "/gradient/" in finding.name:
        absent = finding.message == judge.missing(finding.name, "candidate").message
        zero = finding.compared is not None and not finding.compared[0].any()
        if absent or zero:
            yield Hint("no gradient reaches it: it is frozen, detached, or left out of the loss")
        if finding.compared is not None:
            c, r = finding.compared
            yield from arrays.explain(candidate=c, reference=r)
        yield from _between(evidence, diverged, finding.name)
    yield from why_curve(finding)


def _between(evidence: Evidence, diverged: list[str], name: str) -> Iterator[Hint]:
    """Between which parameters the backward pass goes wrong, in the order of the model."""
    start, _, own = name.rpartition("/")
    names = list(evidence.reference.below(f"{start}/"))
    wrong = {n.rpartition("/")[2] for n in diverged if n.startswith(f"{start}/")}
    if own not in names or len(wrong) == len(names):
        return
    place = names.index(own)
    behind, before = names[place + 1 :], names[:place]
    if wrong == {own}:
        yield Hint("its gradient alone differs: what is done with this parameter, or its gradient")
    elif behind and not wrong & set(behind):
        also = len(wrong & set(before))
        there = _modules_between(evidence, own, behind[0])
        yield Hint(
            f"the gradients of the {len(behind)} parameters from {behind[0]} on agree, those of "
            f"{own} and {also} of the {len(before)} before it do not: what lies between the two"
            f"{f' ({there})' if there else ''} passes back something else (a branch that is "
            "detached or scaled, another formula)"
        )


def _modules_between(evidence: Evidence, first: str, second: str) -> str:
    """The modules that begin to run between those of two parameters."""
    order = list(evidence.reference_model.facts.get("modules", {}))
    places = [name.rpartition(".")[0] for name in (first, second)]
    if not set(places) <= set(order):
        return ""
    between = order[order.index(places[0]) + 1 : order.index(places[1])]
    return ", ".join(between[:BETWEEN])


def _curves(evidence: Evidence) -> list[Finding]:
    """Losses and norms of the updates, every point."""
    ours, theirs = evidence.reference, evidence.candidate
    findings = []
    for name in ours.below("float64/training/"):
        full = [f"{dtype}/training/{name}" for dtype in PRECISIONS]
        absent = [n for n in full if n not in theirs]
        if absent:
            findings += [judge.missing(n, "candidate") for n in absent]
            continue
        (c64, c32), (r64, r32) = map(theirs.array, full), map(ours.array, full)
        if evidence.hard_float32:
            first = judge.noise(full[0], candidate=c64, reference=r32, truth=r64, softened=True)
        else:
            allowed = judge.POINT * np.abs(r64)
            first = judge.trajectory(full[0], candidate=c64, reference=r64, allowed=allowed)
        findings += [first, judge.noise(full[1], candidate=c32, reference=r32, truth=r64)]
    starts = tuple(f"{dtype}/training/" for dtype in PRECISIONS)
    extra = [n for n in theirs.names if n.startswith(starts) and n not in ours]
    return findings + [judge.missing(n, "reference") for n in extra]


def _norm_note(evidence: Evidence) -> tuple[str, ...]:
    ours = evidence.reference
    if not {"float64/training/norm", "float64/training/norm reached"} <= set(ours.names):
        return ()
    norms, reached = (
        ours.array("float64/training/norm"),
        ours.array("float64/training/norm reached"),
    )
    if norms.shape != reached.shape or not norms.size:
        return ()
    clipped = int(np.sum(reached < norms * (1.0 - 1e-9)))
    return (
        f"gradient norms from {norms.min():.2g} to {norms.max():.2g}; "
        f"{clipped} of {norms.size} updates clipped",
    )


def _means(evidence: Evidence) -> dict[str, tuple[float | None, float | None]]:
    means = []
    for dtype in ("float32", "float64"):
        name = f"{dtype}/training/loss"
        both = name in evidence.reference and name in evidence.candidate
        gap = None
        if both:
            c, r = evidence.candidate.array(name), evidence.reference.array(name)
            gap = float(np.abs(c - r).mean()) if c.shape == r.shape and c.size else None
        means.append(gap)
    return {"loss": (means[0], means[1])}


def _series(evidence: Evidence) -> dict[str, tuple[float, ...]]:
    name = "float64/training/loss"
    if name not in evidence.reference or name not in evidence.candidate:
        return {}
    ours, theirs = evidence.reference.array(name), evidence.candidate.array(name)
    if ours.shape != theirs.shape:
        return {}
    series = {
        "loss/reference": ours,
        "loss/candidate": theirs,
        "float64/gap": np.abs(theirs - ours) / np.abs(ours),
    }
    return {key: tuple(map(float, values)) for key, values in series.items()}
