"""Why two trainings part: which part of which update differs first, and the step that shows it."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from modelparity.diagnose import Hint, clipping, closing, curves, replay, schedules
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence
from modelparity.steps.why_updates import rule_of, why_set, why_sites

Array = np.ndarray[Any, Any]

APART = 1e-9  # of the largest value of an update: beyond what rounding grows to meanwhile
LOSSES = "float64/training/loss"
TRIED, SHOWN = 12, 2  # hypotheses that close the gap
MUCH, EXACT = 1e3, 1e-14  # one that leaves so many times more than the best is none
SETTINGS = ("kind", "beta1", "beta2", "eps", "momentum", "nesterov", "amsgrad", "coupled")

# In the order of an update: what differs first, in words, and the step that shows it best.
PARTS = {
    "loss": ("the loss", "step 1, forward, or where dropout acts otherwise step 6"),
    "norm": (
        "the loss agrees, the gradients do not",
        "step 7, backward, or where that is aligned dropout, as drawn again for the gradient,",
    ),
    "reached": (
        "the gradients agree, what clipping leaves of them does not",
        "step 6, regularisation,",
    ),
    "rate": ("the gradients agree, the learning rate does not", "step 5, learning rate,"),
    "parameter": (
        "gradients and rate agree, the parameters behind the update do not",
        "step 4, optimizer, or where it is the decay step 6",
    ),
    "statistic": ("the parameters agree, running statistics do not", "step 1, forward,"),
}


def why_training(evidence: Evidence) -> Iterator[Hint]:
    """The update and the part of it where two trainings part, then what would explain that."""
    untrained = list(_untrained(evidence))
    if untrained:
        yield from untrained
        return
    found = first_apart(evidence)
    if found is None:
        return
    update, kind = found
    yield Hint(_told(evidence, update, kind))
    causes = {
        "loss": _why_loss,
        "norm": _why_loss,
        "reached": _why_clipped,
        "rate": _why_rate,
        "parameter": _why_rule,
    }
    if kind in causes:
        yield from causes[kind](evidence, update)


def first_apart(evidence: Evidence) -> tuple[int, str] | None:
    """The update, and the part of it, in which two trainings part; None where they do not."""
    apart = {kind: _apart(evidence, kind) for kind in PARTS}
    found = [(update, kind) for kind, update in apart.items() if update is not None]
    return min(found, key=lambda one: one[0], default=None)  # the first of an update's parts


def _untrained(evidence: Evidence) -> Iterator[Hint]:
    """Parameters whose gradient reaches the rule on one side only, in some updates at least."""
    start = start_of("reached")
    ours, theirs = (
        {name: int(side.entry(start + name)["shape"][0]) for name in side.below(start)}
        for side in (evidence.reference, evidence.candidate)
    )
    wrong = [name for name, count in ours.items() if theirs.get(name, 0) != count]
    for name in wrong[:1]:
        more = f"; so are {len(wrong) - 1} others" if len(wrong) > 1 else ", as where it is frozen"
        counts = f"{theirs.get(name, 0)} times on the candidate, {ours[name]} on the reference"
        yield Hint(f"{name} is updated {counts}{more}; step 7, backward, shows it best")


def traced(evidence: Evidence, kind: str) -> list[str]:
    """Parameters that both sides traced in every update. Statistics are what no gradient trains."""
    start = start_of(kind)
    ours, theirs = (
        {name: tuple(side.entry(start + name)["shape"]) for name in side.below(start)}
        for side in (evidence.reference, evidence.candidate)
    )
    most = max((shape[:1] for shape in ours.values()), default=())
    whole = {name: shape for name, shape in ours.items() if shape[:1] == most}
    alike = [name for name, shape in whole.items() if theirs.get(name) == shape]
    if kind not in ("parameter", "statistic"):
        return alike
    trained = set(evidence.reference.below(start_of("reached")))
    return [name for name in alike if (name in trained) == (kind == "parameter")]


def start_of(kind: str) -> str:
    """Where the rows of a kind lie: the names of parameters follow."""
    return f"float64/trace/{'parameter' if kind == 'statistic' else kind}/"


def _rows(evidence: Evidence, kind: str) -> list[Array]:
    """The candidate's and the reference's, the updates along the first axis."""
    names, start = traced(evidence, kind), start_of(kind)
    return [
        np.concatenate(
            [a.reshape(len(a), -1) for a in map(side.array, _full(start, names))], axis=1
        )
        for side in (evidence.candidate, evidence.reference)
    ]


def _full(start: str, names: list[str]) -> list[str]:
    return [start + name for name in names]


def _losses(evidence: Evidence) -> list[Array]:
    sides = (evidence.candidate, evidence.reference)
    return [side.array(LOSSES) if LOSSES in side else np.zeros(0) for side in sides]


def _apart(evidence: Evidence, kind: str) -> int | None:
    """The first update in which a part of it differs."""
    if kind == "loss":
        return curves.parting(*_losses(evidence))
    if not traced(evidence, kind):
        return None
    c, r = _rows(evidence, kind)
    if kind in ("parameter", "statistic"):  # behind an update, in units of how far it went
        scale = np.sqrt(np.square(np.diff(r, axis=0)).mean(axis=1))
        gap = np.sqrt(np.square(c - r).mean(axis=1))[1:]
    else:
        gap, scale = np.abs(c - r).max(axis=1), np.abs(r).max(axis=1)
    apart = np.flatnonzero(~(gap <= APART * np.maximum(scale, 1e-300)))
    return int(apart[0]) if apart.size else None


def _told(evidence: Evidence, update: int, kind: str) -> str:
    what, step = PARTS[kind]
    after = f"; all of updates 0 to {update - 1} agrees" if update > 1 else ""
    if kind == "loss":
        c, r = (curve[update] for curve in _losses(evidence))
    else:
        row = update + (kind in ("parameter", "statistic"))  # these also stand before the first
        both = [rows[row] for rows in _rows(evidence, kind)]
        worst = int(np.argmax(np.abs(both[0] - both[1])))
        c, r = (float(values[worst]) for values in both)
    figures = [f"{c:.9g}", f"{r:.9g}"]
    shown = " against ".join(figures) if figures[0] != figures[1] else f"by {abs(c - r):.1g}"
    return f"update {update} parts them: {what} ({shown}{after}); {step} shows it best"


def _why_rate(evidence: Evidence, update: int) -> Iterator[Hint]:
    """Another shape of the schedule, which may be longer than the run."""
    # The parameter whose rate is furthest off then; usually all have one rate.
    c, r = _rows(evidence, "rate")
    column = int(np.argmax(np.abs(c[update] - r[update])))
    c, r = c[:, column], r[:, column]
    total = evidence.reference.array("float32/training/loss").size
    yield from in_words(closing(c, r, schedules.hypotheses(c, r, r.size - total)))


def _why_clipped(evidence: Evidence, update: int) -> Iterator[Hint]:
    """Another way of clipping, by the norms before it."""
    behind = set(traced(evidence, "reached"))
    names = [name for name in traced(evidence, "norm") if name in behind]

    def norms(side: Recording, kind: str) -> Array:
        return np.array([side.array(start_of(kind) + name)[update] for name in names])

    sides = (evidence.candidate, evidence.reference)
    before, after = ([norms(side, kind) for side in sides] for kind in ("norm", "reached"))
    kept = (before[0] > 0.0) & (before[1] > 0.0)
    c, r = (a[kept] / b[kept] for a, b in zip(after, before, strict=True))
    left = [name for name, keep in zip(names, kept, strict=True) if keep]
    groups = evidence.reference.facts.get("optimizer", {}).get("decay", {})
    tried = clipping.shares(dict(zip(left, before[0][kept], strict=True)), r, groups)
    yield from in_words(closing(c, r, tried))
    decayed = [name for name, decay in groups.items() if decay and name in left]
    if decayed:
        places = [(sides[0], "gradient"), (sides[1], "gradient"), (sides[1], "parameter")]
        sampled = (
            np.concatenate([side.array(start_of(kind) + name)[update] for name in decayed])
            for side, kind in places
        )
        found = replay.decayed_gradient(*sampled)
        if found is not None:
            clipped = f" ({found / float(np.median(r)):.3g} where it is added before the clipping)"
            yield Hint(f"{found:.3g} times the parameters is added to the gradients{clipped}")


def _why_rule(evidence: Evidence, update: int) -> Iterator[Hint]:
    """The optimizer's settings, and what other rules make of the candidate's gradients."""
    ours, theirs = (
        side.facts.get("optimizer", {}) for side in (evidence.reference, evidence.candidate)
    )
    for key in SETTINGS:
        if key in ours and key in theirs and ours[key] != theirs[key]:
            yield Hint(f"{key} is {theirs[key]} on the candidate, {ours[key]} on the reference")
    if ours.get("decay") and theirs.get("decay"):
        yield from why_set(theirs["decay"], ours["decay"])
    right = rule_of(ours, 0.0)
    candidate, reference = (
        replayed(evidence, side) for side in (evidence.candidate, evidence.reference)
    )
    count = update + 1
    if candidate and reference and replay.reproduces(reference, right, count):
        recorded, plain = candidate.parameters[update], candidate.under(right, count)
        yield from in_words(closing(recorded, plain, replay.rules(candidate, right, count)))


def replayed(evidence: Evidence, side: Recording) -> replay.Replay | None:
    """Samples of all trained parameters, side by side."""
    known = set(traced(evidence, "rate")) & set(traced(evidence, "parameter"))
    names = [name for name in traced(evidence, "gradient") if name in known]
    if not names:
        return None
    gradients, rates, parameters = (
        [side.array(start_of(kind) + name) for name in names]
        for kind in ("gradient", "rate", "parameter")
    )
    widths = [g.shape[1] for g in gradients]
    decays = evidence.reference.facts.get("optimizer", {}).get("decay", {})
    p = np.concatenate(parameters, axis=1)
    return replay.Replay(
        owners=tuple(np.repeat(names, widths).tolist()),
        decay=np.repeat([float(decays.get(name, 0.0)) for name in names], widths),
        start=p[0],
        gradients=np.concatenate(gradients, axis=1),
        rates=np.repeat(np.stack(rates, axis=1), widths, axis=1),
        parameters=p[1:],
    )


def _why_loss(evidence: Evidence, update: int) -> Iterator[Hint]:
    """Where dropout acts, and whose gradients differ."""
    theirs, ours = (side.facts for side in (evidence.candidate, evidence.reference))
    for key in ("active", "rate"):
        yield from why_sites(key, theirs.get("sites", {}), ours.get("sites", {}))
    c, r = (facts.get("active sites", ()) for facts in (theirs, ours))
    if len(c) == len(r) > update and c[update] != r[update]:
        text = f"dropout acts {c[update]} times in update {update} on the candidate, {r[update]} "
        text += "times on the reference"
        if not c[update]:
            text += ": the model is not in training mode"
        elif c[update] < r[update] and c[:update] == r[:update]:
            text += ", as where a mask is kept from an update before"
        yield Hint(text)
    names = traced(evidence, "norm")
    if names:
        norms = [rows[update] for rows in _rows(evidence, "norm")]
        wrong = np.flatnonzero(~(np.abs(norms[0] - norms[1]) <= APART * np.abs(norms[1]).max()))
        if 0 < wrong.size < len(names):
            shown = ", ".join(names[i] for i in wrong[:3])
            yield Hint(f"the gradients of {wrong.size} of {len(names)} parameters differ: {shown}")


def in_words(hints: Iterator[Hint]) -> Iterator[Hint]:
    """The best with their figures, so that they stand beside what is only words."""
    found = list(islice(hints, TRIED))
    best = min((hint.after for hint in found), default=0.0)
    for hint in [h for h in found if h.after <= MUCH * max(best, EXACT * h.before)][:SHOWN]:
        yield Hint(str(hint))
