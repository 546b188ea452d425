"""Updates of two sides as if both had the reference's learning rates."""

from collections.abc import Mapping

import numpy as np

from modelparity.sketch import sketch
from modelparity.steps.evidence import Array, Evidence

RATES = "rates"  # the fact that holds them, by PRECISION/VARIANT/PARAMETER
SAME = 1e-12  # relative: the rates of one schedule, rounded otherwise


def rated_alike(evidence: Evidence) -> tuple[Mapping[str, Array], tuple[str, ...]]:
    """The candidate's parameters under the reference's rates, where its own differ; and a note.

    Each update's way is measured in units of its rate: that of Adam, momentum and their kin, and of
    a decoupled decay, is the rate times what does not depend on it. An update at rate zero shows
    nothing and counts as the reference's.
    """
    theirs, ours = (side.facts.get(RATES, {}) for side in (evidence.candidate, evidence.reference))
    moved: dict[str, Array] = {}
    wrong = []
    for place, reference in ours.items():
        rates = np.array(theirs.get(place, ())), np.array(reference)
        if rates[0].shape == rates[1].shape and _differ(*rates):
            start, _, name = place.rpartition("/")
            moved |= _moved(evidence, f"{start}/", name, rates)
            wrong.append(name)
    if not wrong:
        return moved, ()
    text = "the learning rate differs, which is the claim of step 5; here updates are compared"
    return moved, (f"{text} in units of their rates",)


def _differ(candidate: Array, reference: Array) -> bool:
    gap = np.abs(candidate - reference)
    return not bool((gap <= SAME * np.abs(reference).max(initial=0.0)).all())


def _moved(
    evidence: Evidence, start: str, name: str, rates: tuple[Array, Array]
) -> dict[str, Array]:
    """One parameter behind each update."""
    ours, theirs = evidence.reference, evidence.candidate
    names = [f"{start}update.{update}/parameter/{name}" for update in range(rates[0].size)]
    if any(n not in ours or n not in theirs for n in names):
        return {}
    begin = sketch(evidence.reference_model.array(f"parameter/{name}")).astype(np.float64)
    ways = [np.diff([begin, *(side.array(n) for n in names)], axis=0) for side in (theirs, ours)]
    c, r = (rate.reshape(-1, *(1,) * begin.ndim) for rate in rates)
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.where((c == 0.0) & (ways[0] == 0.0), ways[1], ways[0] * (r / c))
    behind = begin + np.cumsum(there, axis=0)
    return {n: behind[k].astype(ours.array(n).dtype) for k, n in enumerate(names)}
