"""Float32 runs again, from moved weights: a kink is crossed by chance, a fault is not.

Where an activation has a kink (ReLU at zero, ties of a maximum), a value within rounding of it
makes the gradient jump, in whichever float32 run happens to cross it. So where the candidate's
float32 lies beyond its limit and its float64 does not, it runs again from weights moved by one ulp,
and is accused if that lies beyond too. Losses and outputs do not jump: only gradients do, and what
they train.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.masks import nudged
from modelparity.model import Finding, Outcome
from modelparity.recording import Recording
from modelparity.sketch import sketch
from modelparity.steps.evidence import Evidence
from modelparity.steps.recorder import PRECISIONS, Recorder

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
# Name, without the precision -> how far an array lies in units of what its rule allows.
Limits = Mapping[str, Callable[[Array], float]]
Run = Callable[[Arrays], Arrays]

START = "again/"
RUNS = 4  # at most, as many as the reference's nudged runs
# What a kink may leave at most, of the largest value.
OF_A_GRADIENT = 0.25  # of a batch, in which one position more or less takes part
OF_A_TRAINING = judge.HORIZON  # where nudged runs part by more, nothing is claimed at all


def look_again(recorder: Recorder, weights: Arrays, limits: Limits, run: Run) -> None:
    """Record the candidate's first run from moved weights within all limits, else the nearest.

    Only where its float32 lies beyond and its float64 does not: what float64 shows is no kink.

    run  weights (this side's names) -> what is recorded below `float32/`, in the reference's names
    and layout
    """
    if recorder.is_reference:
        return
    written = recorder.writer.array
    names = [name for name in limits if f"float32/{name}" in recorder.writer]
    rough, fine = (
        _worst(limits, {n: written(f"{dtype}/{n}") for n in names})
        for dtype in reversed(PRECISIONS)
    )
    if not (fine <= 1.0 < rough < np.inf):
        return
    nearest: Arrays = {}
    least = np.inf
    for number in range(RUNS):
        arrays = run({n: nudged(a, ("again", number, n)) for n, a in weights.items()})
        worst = _worst(limits, {n: sketch(arrays[n]) for n in names})
        if worst < least:
            nearest, least = arrays, worst
        if worst <= 1.0:
            break
    for name, array in nearest.items():
        recorder.writer.add(f"{START}float32/{name}", array, sketched=True)


def _worst(limits: Limits, arrays: Arrays) -> float:
    with np.errstate(all="ignore"):
        return float(np.max([0.0, *(limits[name](array) for name, array in arrays.items())]))


def weighed(
    evidence: Evidence, judged: Callable[[Evidence], list[Finding]]
) -> tuple[list[Finding], tuple[str, ...]]:
    """What `judged` finds, and notes; float32 beyond by chance gives way to the run that is not.

    It does where all of the other run is within its limits, and it is itself no farther beyond than
    a kink can bring about. The other run must be as near, whether it is needed or not.
    """
    entries = evidence.candidate.manifest["arrays"]
    moved = {n.removeprefix(START): e for n, e in entries.items() if n.startswith(START)}
    if not moved:
        return judged(evidence), ()
    own = {n: e for n, e in entries.items() if not n.startswith(START)}
    first, second = (judged(_seeing(evidence, arrays)) for arrays in (own, {**own, **moved}))
    instead, notes = dict[str, Finding](), list[str]()
    for run in dict.fromkeys(map(_run_of, moved)):
        beyond = [f for f in first if _run_of(f.name) == run and not _aligned(f)]
        others = [f for f in second if _run_of(f.name) == run]
        if not beyond:
            continue
        worst = max(f.ratio for f in beyond)
        if all(map(_aligned, others)) and all(map(_near, beyond)):
            instead |= {f.name: f for f in others}
            notes.append(
                f"{run} lies {worst:.2g} times its limit off, but not from weights moved by one "
                "ulp: a kink of an activation, crossed by chance"
            )
        else:
            notes.append(f"{run} is beyond its limit from weights moved by one ulp too")
    findings = [f if _aligned(f) else instead.get(f.name, f) for f in first]
    runs = set(map(_run_of, moved))
    far = [f for f in second if _run_of(f.name) in runs and not (_aligned(f) or _near(f))]
    return findings + [replace(f, name=START + f.name) for f in far], tuple(notes)


def _seeing(evidence: Evidence, arrays: Mapping[str, Any]) -> Evidence:
    """The evidence with these arrays of the candidate's."""
    theirs = evidence.candidate
    manifest = {**theirs.manifest, "arrays": arrays}
    return replace(evidence, candidate=Recording(theirs.directory, manifest))


def _run_of(name: str) -> str:
    """Which run an array belongs to: one batch's gradients, or a training."""
    precision, kind, number, *_ = [*name.split("/"), ""]
    if kind == "gradient":
        return f"{precision}/{kind}/{number}"
    return f"{precision}/training" if kind in ("training", "trained") else name


def _aligned(finding: Finding) -> bool:
    return finding.outcome is Outcome.ALIGNED


def _near(finding: Finding) -> bool:
    """Whether a kink can have brought this about."""
    if finding.diff is None or not np.isfinite(finding.ratio):
        return False
    share = OF_A_GRADIENT if "/gradient/" in finding.name else OF_A_TRAINING
    return finding.diff.max_abs <= share * finding.diff.reference_peak
