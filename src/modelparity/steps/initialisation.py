"""Step 9: the reference's weights arrive bit for bit; the port's own initialiser is alike."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diagnose import Hint, laws
from modelparity.model import Finding, Outcome, Verdict
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence, elements
from modelparity.steps.recorder import Recorder
from modelparity.steps.structure import parameters

NUMBER, NAME, TITLE = 9, "initialisation", "initialisation"
CLAIM = "every transferred parameter bit for bit; each side's own initialiser over seeds"

# A seed costs a model: many of a small one, few of a large one, whose parameters hold more values.
FEWEST, MOST = 6, 96
ELEMENTS = 4_000_000  # of all models together
# Values kept of each parameter over all seeds: two samples of 65,536 normal values differ by 0.4 %
# in spread by chance, so that 3.5 % (0.0207 for 0.02) is eight standard errors.
VALUES = 65_536
CLEARLY = 0.02  # by which a standard deviation differs before a hint gives the ratio
NAMED = 0.035  # the relative difference in standard deviation that the notes name parameters by

REPEATED, MUCH = 0.02, 5.0  # of a parameter's values; times as many as on the other side
SEVERAL = 64  # values

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Draw each side's own initialisation over seeds and record samples and moments.

    Both sides keep the same elements, evenly spread over the reference's layout. Parameters that
    do not change with the seed (zeros, ones, a checkpoint's) are kept whole, as sketches; so are
    the rows of others that do not (the padding row of an embedding), with their numbers.
    """
    drawn: list[dict[str, Array]] = []
    seeds = _seeds(recorder)
    kept = -(-VALUES // seeds)
    first = int(recorder.settings.get("seed", 0))
    moved: dict[str, Array] = {}  # by row
    constant: dict[str, Array] = {}
    for number in range(seeds):
        recorder.adapter.seed(first + 1 + number)
        model = recorder.call("build_model", recorder.settings)
        arrays = recorder.to_reference(recorder.adapter.parameters(model))
        if number == 0:
            constant = arrays
        for name, array in arrays.items():
            rows = (array != constant[name]).reshape(len(array) if array.ndim else 1, -1)
            moved[name] = moved.get(name, False) | rows.any(axis=1)
        drawn.append({name: _sample(array, kept) for name, array in arrays.items()})
        recorder.progress("initialisation", number + 1, seeds)
    for name, array in constant.items():
        if not moved[name].any():
            recorder.writer.add(f"constant/{name}", array, sketched=True)
            continue
        recorder.writer.add(f"drawn/{name}", np.stack([d[name] for d in drawn]))
        still = np.flatnonzero(~moved[name])
        if still.size:
            recorder.writer.add(f"rows/{name}", still)
            recorder.writer.add(f"held/{name}", array[still], sketched=True)


def _seeds(recorder: Recorder) -> int:
    """How many models to build: the reference's size decides for both sides."""
    if not recorder.is_reference:
        return int(recorder.given_recording(NAME).facts["seeds"])
    shapes = recorder.given_recording("model").shapes("parameter/")
    size = sum(int(np.prod(shape)) for shape in shapes.values())
    seeds = min(MOST, max(FEWEST, ELEMENTS // max(1, size)))
    recorder.writer.facts["seeds"] = seeds
    return seeds


def _sample(array: Array, kept: int) -> Array:
    flat = array.reshape(-1)
    if flat.size <= kept:
        return flat.copy()
    return flat[np.linspace(0, flat.size - 1, kept).astype(np.int64)]


def judge_step(evidence: Evidence) -> Verdict:
    """Transfer and constants exact; what is drawn by corrected two-sample tests."""
    ours, theirs = evidence.reference, evidence.candidate
    transfer = parameters(evidence)
    findings = list(transfer)
    names = set(theirs.names)
    drawn = ours.below("drawn/")
    for name in ours.names:
        if name not in names:
            findings += _other_kind(name, names, evidence)
        elif not name.startswith("drawn/"):
            findings.append(
                judge.exact(name, candidate=theirs.array(name), reference=ours.array(name))
            )
    for name in sorted(names - set(ours.names)):
        findings += _held(name, "candidate") or evidence.missing(name, "reference")
    unfit, pairs = _drawn(evidence)
    level = judge.level_of(pairs)
    caught = judge.least_caught(pairs, level)
    findings += unfit
    findings += [judge.same_law(f"drawn/{name}", pair, level) for name, pair in pairs.items()]
    findings += judge.same_law_together(pairs, level)
    findings += _alike(evidence)
    return judge.conclude(
        NUMBER,
        TITLE,
        findings if ours.names else [],
        coverage={
            "parameters transferred": len(transfer),
            "parameters drawn": len(drawn),
            "constants": len(ours.below("constant/")),
            "seeds": int(ours.facts.get("seeds", 0)),
            "samples": elements(ours, [f"drawn/{n}" for n in drawn]),
        },
        notes=_power(caught, judge.least_caught_in_all(pairs, level)),
        means=_means(evidence),
        why=partial(_why, evidence),
        details={"least spread caught": caught},
    )


def _why(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """How many times as wide the candidate's values spread, and the law that they look like."""
    if finding.hints:  # what is copied or coarse may well have the right law
        return
    kind, _, name = finding.name.partition("/")
    ours, theirs, full = evidence.reference, evidence.candidate, f"drawn/{name}"
    if kind in ("rows", "held"):
        for side, recording in (("reference", ours), ("candidate", theirs)):
            if f"rows/{name}" in recording:
                rows = recording.array(f"rows/{name}").tolist()
                listed = ", ".join(map(str, rows[:5])) + (" and others" if len(rows) > 5 else "")
                yield Hint(f"row {listed} is drawn on the other side, and held by the {side}")
    elif kind in ("drawn", "constant") and full in theirs:
        sample = theirs.array(full)
        spread = float(ours.array(full).std()) if full in ours else 0.0
        if spread and abs(float(sample.std()) / spread - 1.0) > CLEARLY:
            times = float(sample.std()) / spread
            yield Hint(f"its standard deviation is {times:.3g} times the reference's")
        if kind == "constant":
            held = _everywhere(ours.array(finding.name)) or "the same values at every seed"
            law = f"around {float(sample.mean()):.3g}, standard deviation {float(sample.std()):.3g}"
            yield Hint(f"values are drawn {law}; the reference has {held}")
        text = laws.looks_like(sample, *_shapes(evidence, name))
        if text:
            yield Hint(text)
    elif kind == "drawn" and f"constant/{name}" in theirs:
        held = _everywhere(theirs.array(f"constant/{name}"))
        said = f", {held}" if held else ": a seed of its own, or stored weights, as if pretrained"
        yield Hint(f"the candidate has the same values at every seed{said}")


def _shapes(evidence: Evidence, name: str) -> tuple[tuple[int, ...], ...]:
    """A parameter's shape, as the reference's lie; a bias's weight's too: its inputs rule both."""
    ours, theirs = evidence.reference_model, evidence.candidate_model
    shapes = theirs.shapes("parameter/") | ours.shapes("parameter/")
    names = [name, f"{name.removesuffix('bias')}weight"] if name.endswith(".bias") else [name]
    return tuple(shapes[n] for n in names if n in shapes)


def _everywhere(values: Array) -> str:
    """The one value of an array in words; "" where it has several."""
    return f"{values.flat[0]:g} everywhere" if values.size and np.ptp(values) == 0.0 else ""


def _other_kind(name: str, names: set[str], evidence: Evidence) -> list[Finding]:
    held = _held(name, "reference")
    if held:
        return held
    kind, _, parameter = name.partition("/")
    other = "constant" if kind == "drawn" else "drawn"
    if f"{other}/{parameter}" in names:
        message = f"is {other} on the candidate and {kind} on the reference"
        return [Finding(name, "distribution", Outcome.DIVERGED, message, ratio=np.inf)]
    return evidence.missing(name, "candidate", "parameter")


def _held(name: str, side: str) -> list[Finding]:
    """What one side only keeps from seed to seed: rows, such as that of the padding."""
    if not name.startswith(("rows/", "held/")):
        return []
    message = f"the {side}'s initialiser gives some rows the same values at every seed"
    return [Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)]


def _alike(evidence: Evidence) -> list[Finding]:
    """Parameters that one side draws once for several, and values that it draws again and again.

    Each has the right law by itself. A few values of float32 meet by chance.
    """
    sides = (evidence.candidate, evidence.reference)
    copies = [_copies(side) for side in sides]
    repeated = [_repeated(side) for side in sides]
    findings = []
    for name in evidence.reference.below("drawn/"):
        c, r = (found.get(name, "") for found in copies)
        if c != r and f"drawn/{name}" in evidence.candidate:
            side, other = ("candidate", c) if c else ("reference", r)
            message = f"at every seed the {side} draws the same values as for {other}"
            hint = "a module that is copied is drawn once: draw each by itself"
            findings.append(_diverged(name, message, hint))
        c_share, r_share = (found.get(name, 0.0) for found in repeated)
        if max(c_share, r_share) > REPEATED + MUCH * min(c_share, r_share):
            shares = f"{c_share:.1%} of the candidate's values"
            message = f"{shares} come more than once, {r_share:.1%} of the reference's"
            hint = "its values are rounded to a coarser format, or rows of them are repeated"
            findings.append(_diverged(name, message, hint))
    return findings


def _diverged(name: str, message: str, hint: str) -> Finding:
    name, hints = f"drawn/{name}", (hint,)
    return Finding(name, "distribution", Outcome.DIVERGED, message, hints, np.inf)


def _copies(side: Recording) -> dict[str, str]:
    """Parameter -> the first one with the same values at every seed."""
    first: dict[bytes, str] = {}
    found = {}
    for name in side.below("drawn/"):
        key = side.array(f"drawn/{name}").tobytes()
        if key in first:
            found[name] = first[key]
        first.setdefault(key, name)
    return found


def _repeated(side: Recording) -> dict[str, float]:
    """Parameter -> the share of the first seed's values that came before."""
    found = {}
    for name in side.below("drawn/"):
        values = side.array(f"drawn/{name}")[0].reshape(-1)
        found[name] = 1.0 - np.unique(values).size / values.size if values.size >= SEVERAL else 0.0
    return found


def _drawn(evidence: Evidence) -> tuple[list[Finding], dict[str, judge.Pair]]:
    """What is drawn on both sides: findings where it cannot be compared, else the two samples."""
    findings, pairs = [], {}
    for name in evidence.reference.below("drawn/"):
        full = f"drawn/{name}"
        if full not in evidence.candidate:
            continue
        c, r = evidence.candidate.array(full), evidence.reference.array(full)
        message = ""
        if c.dtype != r.dtype:
            message = f"dtype {c.dtype} against {r.dtype}"
        elif c.shape != r.shape:
            message = f"shape {c.shape[1:]} against {r.shape[1:]}"
        elif not (np.isfinite(c).all() and np.isfinite(r).all()):
            message = "drawn values are NaN or infinite"
        if message:
            findings.append(Finding(full, "distribution", Outcome.DIVERGED, message, ratio=np.inf))
        else:
            pairs[name] = c.astype(np.float64).reshape(-1), r.astype(np.float64).reshape(-1)
    return findings, pairs


def _power(caught: dict[str, float], together: float) -> tuple[str, ...]:
    """What the tests of drawn parameters would have caught."""
    if not caught:
        return ()
    worst = max(caught, key=caught.__getitem__)
    median = float(np.median(list(caught.values())))
    seen = sum(1 for least in caught.values() if least <= NAMED)
    return (
        f"another standard deviation is caught with probability {judge.POWER:.0%} from "
        f"{median:.1%} on in the median parameter, {caught[worst]:.1%} in {worst}, which holds "
        f"least, {together:.1%} where all have it; {NAMED:.1%} in any one of {seen} of "
        f"{len(caught)} parameters",
    )


def _means(evidence: Evidence) -> dict[str, tuple[float | None, float | None]]:
    names = set(evidence.candidate_model.names) & set(evidence.reference_model.names)
    gaps = []
    for finding in parameters(evidence) if names else []:
        if finding.diff is not None:
            gaps.append(finding.diff.mean_abs)
    return {"transferred_weights": (max(gaps), None)} if gaps else {}
