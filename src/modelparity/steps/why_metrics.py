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

PREDICTIONS, LABELS, LOSSES = "_predictions", "_labels", "losses"


def why(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """What a score or a loss would be, if the candidate's own decisions were counted otherwise."""
    if finding.compared is None or finding.compared[1].ndim:
        return
    place = finding.name.rpartition("/")[0] + "/"
    candidate, reference = _arrays(evidence.candidate, place), _arrays(evidence.reference, place)
    value = float(finding.compared[1])
    usual = {t for t, v in _counted_otherwise(evidence, reference) if np.isclose(v, value)}
    tried = ((t, v) for t, v in _counted_otherwise(evidence, candidate) if t not in usual)
    yield from closing(*finding.compared, tried)
    alike = scores.agreeing(candidate, reference)
    if LOSSES in alike and finding.name.endswith("loss"):
        losses, value = candidate[LOSSES], float(finding.compared[0])
        if losses.min() <= value <= losses.max():
            text = "the losses of all examples agree: it is another average of them"
            yield Hint(f"{text}, such as a mean of batches' means or one over words")
    elif alike:
        listed = ", ".join(alike)
        yield Hint(f"{listed} agree on every example: only what is made of them can differ")


def _arrays(side: Recording, place: str) -> dict[str, Array]:
    return {name: side.array(place + name) for name in side.below(place)}


def _counted_otherwise(evidence: Evidence, found: dict[str, Array]) -> Iterator[Hypothesis]:
    words = vocabularies(evidence.reference_model)
    for name, array in found.items():
        labels = found.get(name.removesuffix(PREDICTIONS) + LABELS)
        if name.endswith(PREDICTIONS) and labels is not None:
            task = name.removesuffix(PREDICTIONS)
            named = next((words[field] for field in words if field.startswith(task)), [])
            yield from scores.of_decisions(array, labels, named)
        elif name == LOSSES and array.ndim == 1 and array.size:
            yield from scores.of_losses(array)
