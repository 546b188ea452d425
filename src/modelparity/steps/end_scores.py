"""The scores that step 10's trainings end with."""

from dataclasses import replace
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.model import Finding
from modelparity.steps.evidence import Evidence

GROSS = 0.25  # beyond the horizon a curve shows nothing: final scores may differ by this much

Array = np.ndarray[Any, Any]


def compared(evidence: Evidence) -> list[Finding]:
    """Scores after 50 float64 updates by float64; after the float32 run only gross differences."""
    ours, theirs = evidence.reference, evidence.candidate
    unscored = [side.facts["unscored"] for side in (theirs, ours) if "unscored" in side.facts]
    if unscored:
        return [judge.inconclusive("", reason) for reason in unscored]
    findings = [
        judge.inconclusive(split, "no score was recorded")
        for split in ours.manifest["terms"]["splits"]
        if not ours.below(f"float64/score/{split}/")
    ]
    names = [n for n in ours.names if "/score/" in n]
    for name in names:
        if name not in theirs:
            findings.append(judge.missing(name, "candidate"))
        elif name.startswith("float64/") and not evidence.hard_float32:
            findings.append(
                judge.float64(
                    name,
                    candidate=theirs.array(name),
                    reference=ours.array(name),
                    tolerance=judge.UPDATES,
                )
            )
        else:
            findings.append(_gross(name, theirs.array(name), ours.array(name)))
    extra = [n for n in theirs.names if "/score/" in n and n not in names]
    return findings + [judge.missing(n, "reference") for n in extra]


def _gross(name: str, candidate: Array, reference: Array) -> Finding:
    if candidate.shape != reference.shape or candidate.dtype != reference.dtype:
        return judge.exact(name, candidate=candidate, reference=reference)
    allowed = np.full(reference.size, GROSS)
    if name.endswith("loss"):
        allowed = allowed * np.maximum(1.0, np.abs(reference.reshape(-1)))
    found = judge.trajectory(
        name,
        candidate=candidate.reshape(-1),
        reference=reference.reshape(-1),
        allowed=allowed,
    )
    return replace(found, rule="gross")


def side_by_side(evidence: Evidence) -> dict[str, list[float]]:
    """name -> [reference, candidate] after the float32 run."""
    table = {}
    for name in evidence.reference.below("float32/score/"):
        full = f"float32/score/{name}"
        if full in evidence.candidate:
            pair = evidence.reference.array(full), evidence.candidate.array(full)
            table[name] = [a.item() for a in pair if a.size == 1]
    return table
