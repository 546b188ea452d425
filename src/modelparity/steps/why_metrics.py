"""What would explain a finding of step 3: the same decisions and losses, counted otherwise."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelparity.diagnose import Hint, Hypothesis, closing, scores
from modelparity.model import Finding
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence
from modelparity.steps.vocabulary import vocabularies

Array = np.ndarray[Any, Any]

ACTIVE = "active sites"  # of dropout, while the first split is evaluated
PREDICTIONS, LABELS, LOSSES = "_predictions", "_labels", "losses"


def why(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """What a score or a loss would be, if the candidate's own decisions were counted otherwise."""
    if finding.compared is None:
        return
    yield from _active(evidence)
    start, _, name = finding.name.rpartition("/")
    candidate, reference = (
        _arrays(side, f"{start}/") for side in (evidence.candidate, evidence.reference)
    )
    if finding.compared[1].ndim:
        yield from _decided(evidence, finding, candidate, reference)
        return
    value = float(finding.compared[1])
    usual = {t for t, v in _counted_otherwise(evidence, reference) if np.isclose(v, value)}
    tried = ((t, v) for t, v in _counted_otherwise(evidence, candidate) if t not in usual)
    yield from closing(*finding.compared, tried)
    whole = {n: a for n, a in candidate.items() if a.ndim == 0 and a.dtype.kind == "f"}
    yield from closing(*finding.compared, scores.of_scores(name, whole))
    yield from closing(*finding.compared, scores.of_value(finding.compared[1]))
    alike = scores.agreeing(candidate, reference)
    if LOSSES in alike and name.endswith("loss"):
        losses, value = candidate[LOSSES], float(finding.compared[0])
        if losses.min() <= value <= losses.max():
            text = "the losses of all examples agree: it is another average of them"
            yield Hint(f"{text}, such as a mean of batches' means or one over words")
    elif any(not n.endswith(LABELS) for n in alike):
        yield Hint(f"{_listed(alike)}: only what is made of them can differ")


def _active(evidence: Evidence) -> Iterator[Hint]:
    """Dropout that acts while one side evaluates."""
    theirs, ours = (side.facts.get(ACTIVE, 0) for side in (evidence.candidate, evidence.reference))
    if theirs != ours:
        text = f"dropout is active at {theirs} sites while the candidate evaluates, at {ours} while"
        yield Hint(f"{text} the reference does: a model in training mode")


def _decided(
    evidence: Evidence, finding: Finding, candidate: dict[str, Array], reference: dict[str, Array]
) -> Iterator[Hint]:
    """Decisions that differ where what they are made of agrees, or in one class alone."""
    name = finding.name.rpartition("/")[2]
    assert finding.compared is not None
    c, r = finding.compared
    if r.dtype.kind not in "iu" or c.shape != r.shape:
        return
    scored = [n for n in scores.agreeing(candidate, reference) if reference[n].dtype.kind == "f"]
    if scored:
        yield Hint(f"{_listed(scored)}: only how {name} are decided, or ordered, can differ")
    words = _words(evidence, name.removesuffix(PREDICTIONS))
    for text, values in (("the reference's is", r), ("it is", c)):
        seen = np.unique(values[c != r])
        if seen.size == 1 and c.size > 1:
            label = repr(words[seen[0]]) if 0 <= seen[0] < len(words) else str(seen[0])
            counts = f"{np.count_nonzero(c != r)} of {np.count_nonzero(values == seen[0])}"
            yield Hint(f"{name} differ only where {text} {label}: {counts}")


def _listed(names: list[str]) -> str:
    return f"{', '.join(names)} agree{'s' * (len(names) == 1)} on every example"


def _arrays(side: Recording, place: str) -> dict[str, Array]:
    return {name: side.array(place + name) for name in side.below(place)}


def _words(evidence: Evidence, task: str) -> list[str]:
    words = vocabularies(evidence.reference_model)
    return next((words[field] for field in words if field.startswith(task)), [])


def _counted_otherwise(evidence: Evidence, found: dict[str, Array]) -> Iterator[Hypothesis]:
    tasks = [n.removesuffix(PREDICTIONS) for n in found if n.endswith(PREDICTIONS)]
    for name, array in found.items():
        task = name.removesuffix(PREDICTIONS)
        labels = found.get(task + LABELS)
        if name.endswith(PREDICTIONS) and labels is not None:
            named = f", of {task}" if len(tasks) > 1 else ""
            for text, value in scores.of_decisions(array, labels, _words(evidence, task)):
                yield f"{text}{named}", value
        elif name == LOSSES and array.ndim == 1 and array.size:
            yield from scores.of_losses(array)
