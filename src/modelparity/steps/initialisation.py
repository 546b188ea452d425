"""Step 9: the reference's weights arrive bit for bit; the port's own initialiser is alike."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diagnose import Hint, laws
from modelparity.model import Finding, Outcome, Verdict
from modelparity.steps.evidence import Evidence, elements
from modelparity.steps.recorder import Recorder
from modelparity.steps.structure import parameters

NUMBER, NAME, TITLE = 9, "initialisation", "initialisation"
CLAIM = "every transferred parameter bit for bit; each side's own initialiser over seeds"

SEEDS = 6
SAMPLE = 2048  # elements kept of each parameter and seed
CLEARLY = 0.02  # by which a standard deviation differs before a hint gives the ratio
ALPHA = 1e-4  # family-wise: one clean run in ten thousand may be accused

Array = np.ndarray[Any, Any]


def record(recorder: Recorder) -> None:
    """Draw each side's own initialisation over seeds and record samples and moments.

    Both sides keep the same elements, evenly spread over the reference's layout. Parameters that
    do not change with the seed (zeros, ones, a checkpoint's) are kept whole, as sketches; so are
    the rows of others that do not (the padding row of an embedding), with their numbers.
    """
    drawn: list[dict[str, Array]] = []
    first = int(recorder.settings.get("seed", 0))
    moved: dict[str, Array] = {}  # by row
    constant: dict[str, Array] = {}
    for number in range(SEEDS):
        recorder.adapter.seed(first + 1 + number)
        model = recorder.call("build_model", recorder.settings)
        arrays = recorder.to_reference(recorder.adapter.parameters(model))
        if number == 0:
            constant = arrays
        for name, array in arrays.items():
            rows = (array != constant[name]).reshape(len(array) if array.ndim else 1, -1)
            moved[name] = moved.get(name, False) | rows.any(axis=1)
        drawn.append({name: _sample(array) for name, array in arrays.items()})
        recorder.progress("initialisation", number + 1, SEEDS)
    for name, array in constant.items():
        if not moved[name].any():
            recorder.writer.add(f"constant/{name}", array, sketched=True)
            continue
        recorder.writer.add(f"drawn/{name}", np.stack([d[name] for d in drawn]))
        still = np.flatnonzero(~moved[name])
        if still.size:
            recorder.writer.add(f"rows/{name}", still)
            recorder.writer.add(f"held/{name}", array[still], sketched=True)


def _sample(array: Array) -> Array:
    flat = array.reshape(-1)
    if flat.size <= SAMPLE:
        return flat.copy()
    return flat[np.linspace(0, flat.size - 1, SAMPLE).astype(np.int64)]


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
    level = ALPHA / max(1, TESTS * len(drawn))
    for name in drawn:
        if f"drawn/{name}" in names:
            findings.append(_same_distribution(name, evidence, level))
    return judge.conclude(
        NUMBER,
        TITLE,
        findings if ours.names else [],
        coverage={
            "parameters transferred": len(transfer),
            "parameters drawn": len(drawn),
            "constants": len(ours.below("constant/")),
            "seeds": SEEDS,
            "samples": elements(ours, [f"drawn/{n}" for n in drawn]),
        },
        means=_means(evidence),
        why=partial(_why, evidence),
    )


def _why(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """How many times as wide the candidate's values spread, and the law that they look like."""
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
        text = laws.looks_like(sample, evidence.candidate_model.shapes("parameter/").get(name, ()))
        if text:
            yield Hint(text)
    elif kind == "drawn" and f"constant/{name}" in theirs:
        values = theirs.array(f"constant/{name}")
        first = values.flat[0] if values.size else 0.0
        alike = f", {first:g} everywhere" if (values == first).all() else ""
        cause = "" if alike else ": a seed of its own, or stored weights, as in a pretrained model"
        yield Hint(f"the candidate has the same values at every seed{alike}{cause}")


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


TESTS = 5
HEAVY_TAILS = 1.0  # excess kurtosis: a normal sample's is 0 (0.7 either way in 48), Laplace's 3


def _same_distribution(name: str, evidence: Evidence, level: float) -> Finding:
    """Location, spread, shape, range, outliers of two samples: p against the corrected level."""
    full = f"drawn/{name}"
    c, r = evidence.candidate.array(full), evidence.reference.array(full)
    if c.dtype != r.dtype:
        message = f"dtype {c.dtype} against {r.dtype}"
        return Finding(full, "distribution", Outcome.DIVERGED, message, ratio=np.inf)
    c, r = c.astype(np.float64), r.astype(np.float64)
    if c.shape != r.shape:
        message = f"shape {c.shape[1:]} against {r.shape[1:]}"
        return Finding(full, "distribution", Outcome.DIVERGED, message, ratio=np.inf)
    if not (np.isfinite(c).all() and np.isfinite(r).all()):
        message = "drawn values are NaN or infinite"
        return Finding(full, "distribution", Outcome.DIVERGED, message, ratio=np.inf)
    worst, p, figures = min(_tests(c.reshape(-1), r.reshape(-1)), key=lambda test: test[1])
    ratio = float(np.log(max(p, 1e-300)) / np.log(level))
    if p >= level:
        return Finding(full, "distribution", Outcome.ALIGNED, ratio=ratio)
    message = f"{worst} differs: {figures} (p = {p:.1g}, level {level:.1g})"
    return Finding(full, "distribution", Outcome.DIVERGED, message, ratio=ratio)


def _tests(c: Array, r: Array) -> Iterator[tuple[str, float, str]]:
    """(what, p value, figures): Welch, Brown-Forsythe, Kolmogorov-Smirnov, and the extremes."""
    from scipy import stats

    yield (
        "mean",
        float(stats.ttest_ind(c, r, equal_var=False).pvalue),
        f"{c.mean():.3g} against {r.mean():.3g}",
    )
    spread = float(stats.levene(c, r, center="median").pvalue)
    yield "standard deviation", spread, f"{c.std():.4g} against {r.std():.4g}"
    yield (
        "shape",
        float(stats.ks_2samp(c, r, method="asymp").pvalue),
        f"Kolmogorov-Smirnov over {c.size:,} values",
    )
    # If both samples have one parent, the k largest magnitudes all fall on one side with
    # probability 2^(1-k) (plus what finite samples add): tails that the other tests do not see.
    order = np.argsort(np.concatenate([np.abs(c), np.abs(r)]))[::-1]
    side = order < c.size
    changes = np.flatnonzero(side != side[0])
    run = int(changes[0]) if changes.size else side.size
    extremes = f"largest {np.abs(c).max():.3g} against {np.abs(r).max():.3g}"
    yield "range", float(2.0 ** (1 - run)), extremes
    # One value that the others do not hide: how likely a normal sample of the reference's spread
    # holds it (Grubbs 1950, doi:10.1214/aoms/1177729885). Nothing is claimed where the reference's
    # own tails are heavier than a normal's.
    score = float(np.abs(c - r.mean()).max() / (r.std(ddof=1) * np.sqrt(1.0 + 1.0 / r.size)))
    light = float(stats.kurtosis(r)) <= HEAVY_TAILS
    outlier = 2.0 * c.size * float(stats.t.sf(score, r.size - 1))
    yield "outlier", min(1.0, outlier) if light else 1.0, extremes


def _means(evidence: Evidence) -> dict[str, tuple[float | None, float | None]]:
    names = set(evidence.candidate_model.names) & set(evidence.reference_model.names)
    gaps = []
    for finding in parameters(evidence) if names else []:
        if finding.diff is not None:
            gaps.append(finding.diff.mean_abs)
    return {"transferred_weights": (max(gaps), None)} if gaps else {}
