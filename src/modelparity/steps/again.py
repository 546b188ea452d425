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
RUNS = 8  # at most
TRIED = "runs again: "  # the facts that say how many
# What a kink may leave at most, of the largest value.
OF_A_GRADIENT = 0.25  # of one batch, in which one position more or less takes part
OF_A_TRAINING = 0.05  # clean ports of a small net: up to 0.007


def look_again(recorder: Recorder, weights: Arrays, limits: Limits, run: Run) -> None:
    """Record the candidate's first run from moved weights that is within all limits.

    Only where its float32 is beyond and its float64 is not: what float64 shows is no kink.

    run  weights (this side's names) -> what is recorded below `float32/`, in the reference's names
    and layout; a run that is seen to be beyond may end early, without some
    """
    if recorder.is_reference:
        return
    written = recorder.writer.array
    names = [name for name in limits if f"float32/{name}" in recorder.writer]
    fine, rough = (
        _worst(limits, {n: written(f"{dtype}/{n}") for n in names}) for dtype in PRECISIONS
    )
    if not (fine <= 1.0 < rough < np.inf):
        return
    for number in range(RUNS):
        recorder.writer.facts[f"{TRIED}{_run_of(f'float32/{names[0]}')}"] = number + 1
        arrays = run({name: _moved(name, array, number) for name, array in weights.items()})
        sketches = {name: sketch(arrays[name]) for name in names if name in arrays}
        if len(sketches) == len(names) and _worst(limits, sketches) <= 1.0:
            for name, array in arrays.items():
                recorder.writer.add(f"{START}float32/{name}", array, sketched=True)
            return


def _moved(name: str, array: Array, number: int) -> Array:
    """A parameter moved by one ulp; zeros, which may lie on kinks by themselves, stay."""
    return np.where(array == 0.0, array, nudged(array, ("again", number, name)))


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
    theirs = evidence.candidate
    entries = theirs.manifest["arrays"]
    moved = {n.removeprefix(START): e for n, e in entries.items() if n.startswith(START)}
    own = {n: e for n, e in entries.items() if not n.startswith(START)}
    first = judged(_seeing(evidence, own) if moved else evidence)
    second = judged(_seeing(evidence, {**own, **moved})) if moved else []
    again = set(map(_run_of, moved))
    instead, notes = dict[str, Finding](), list[str]()
    runs = {name.removeprefix(TRIED) for name in theirs.facts if name.startswith(TRIED)}
    for run in sorted(runs | again):
        beyond = [f for f in first if _run_of(f.name) == run and not _aligned(f)]
        others = [f for f in second if _run_of(f.name) == run]
        if not beyond:
            continue
        if run in again and all(map(_aligned, others)) and all(map(_near, beyond)):
            instead |= {f.name: f for f in others}
            worst = max(f.ratio for f in beyond)
            notes.append(
                f"{run} lies {worst:.2g} times its limit off, but not from weights moved by one "
                "ulp: a kink of an activation, crossed by chance"
            )
        else:
            notes.append(f"{run} lies beyond its limit from weights moved by one ulp too")
    findings = [f if _aligned(f) else instead.get(f.name, f) for f in first]
    far = [f for f in second if _run_of(f.name) in again and not (_aligned(f) or _near(f))]
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
