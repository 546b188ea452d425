"""Step 5: the rate that each update really uses, over the whole schedule and beyond its end."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from modelparity import judge
from modelparity.adapters import Applied
from modelparity.diagnose import Hint, closing, schedules
from modelparity.model import Finding, Verdict
from modelparity.steps import optimizer as step_4
from modelparity.steps.evidence import Evidence
from modelparity.steps.recorder import Array, Recorder, Settings
from modelparity.steps.updates import by_parameter

NUMBER, NAME, TITLE = 5, "learning_rate", "learning rate"
CLAIM = "the rate of every update, with and without warm-up, beyond the end too"
BEYOND = 5  # updates after the last
STEP_4 = "step 4/"  # the schedules under which step 4 updates, where they are not those of step 5


def record(recorder: Recorder) -> None:
    """Run the whole schedule and record the rate with which each update is applied.

    Only the smallest parameter has a gradient, so that thousands of updates stay cheap.
    """
    updates = _updates(recorder)
    weights = recorder.initial_weights()
    runs = [(prefix, settings, updates) for prefix, settings in recorder.variants(NAME)]
    for prefix, settings in recorder.variants(step_4.NAME):
        runs.append((f"{STEP_4}{prefix}", settings, len(step_4.FACTORS)))
    for prefix, settings, count in runs:
        rates = _rates(recorder, settings, weights, count)
        for name, array in recorder.by_reference_name(by_parameter(rates)).items():
            recorder.writer.add(f"{prefix}rate/{name}", array)
    recorder.writer.facts["updates"] = updates


def _rates(
    recorder: Recorder, settings: Settings, weights: Mapping[str, Array], updates: int
) -> list[dict[str, float]]:
    """The rate of each parameter in each update."""
    model = recorder.build(settings, weights, "float64", training=True)
    optimizer, schedule = recorder.call("build_optimizer", model, settings, updates)
    parameters = recorder.adapter.parameters(model)
    smallest = min(recorder.adapter.trainable(model), key=lambda n: parameters[n].size)
    gradient = {smallest: np.zeros_like(parameters[smallest])}
    rates: list[dict[str, float]] = []

    def note(applied: Applied) -> None:
        rates.append(dict(applied.rates))

    with recorder.adapter.watch_updates(model, optimizer, note):
        for number in range(updates + BEYOND):
            recorder.adapter.set_gradients(model, gradient)
            recorder.call("update", model, optimizer, schedule, settings)
            if number % 100 == 0:
                recorder.progress("learning rate", number, updates)
    return rates


def _updates(recorder: Recorder) -> int:
    """Epochs (from the settings, else 1) times the reference's batches per epoch."""
    if not recorder.is_reference:
        return int(recorder.given_recording(NAME).facts["updates"])
    batches = sum(1 for _ in recorder.call("training_batches", recorder.settings, 0))
    return batches * int(recorder.settings.get("epochs", 1))


def judge_step(evidence: Evidence) -> Verdict:
    """Every rate within one ulp of the peak."""
    ours, theirs = evidence.reference, evidence.candidate
    findings: list[Finding] = []
    for name in ours.names:
        if name not in theirs:
            findings += evidence.missing(name, "candidate")
            continue
        found = judge.schedule(name, candidate=theirs.array(name), reference=ours.array(name))
        findings.append(found)
    for name in theirs.names:
        findings += [] if name in ours else evidence.missing(name, "reference")
    findings += _constant(evidence)
    gaps = [f.diff.mean_abs for f in findings if f.diff is not None]
    return judge.conclude(
        NUMBER,
        TITLE,
        findings if ours.names else [],
        coverage={
            "schedules": len(_schedules(ours.names)),
            "updates": int(ours.facts.get("updates", 0)) + BEYOND,
            "parameters": len({n.partition("rate/")[2] for n in ours.names}),
        },
        means={"learning_rate": (None, max(gaps))} if gaps else {},
        series=_series(evidence),
        why=_why,
    )


def _schedules(names: Iterable[str]) -> set[str]:
    return {n.partition("rate/")[0] for n in names if not n.startswith(STEP_4)}


def _why(finding: Finding) -> Iterator[Hint]:
    """Another shape of the schedule, where one explains it."""
    if finding.compared is not None:
        tried = schedules.hypotheses(*finding.compared, BEYOND)
        yield from closing(*finding.compared, tried)


def _constant(evidence: Evidence) -> list[Finding]:
    """Schedules without any update prove nothing."""
    if evidence.reference.facts.get("updates"):
        return []
    return [judge.inconclusive("updates", "the schedule has no updates")]


def _series(evidence: Evidence) -> dict[str, tuple[float, ...]]:
    name = next(iter(evidence.reference.names), None)
    if name is None or name not in evidence.candidate:
        return {}
    ours, theirs = evidence.reference.array(name), evidence.candidate.array(name)
    if ours.shape != theirs.shape:
        return {}
    return {"rate/reference": tuple(map(float, ours)), "rate/candidate": tuple(map(float, theirs))}
