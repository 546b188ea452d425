"""Two models' structure: parameters after transfer, and what their modules are set to."""

import numpy as np

from modelparity import judge, layout, pairing
from modelparity.model import Finding, Outcome
from modelparity.steps.evidence import Evidence

STEP_6 = ("rate", "mode")  # dropout is judged where it acts


def parameters(evidence: Evidence) -> list[Finding]:
    """Every parameter after transfer: names, shapes, dtypes, every element."""
    ours, theirs = evidence.reference_model, evidence.candidate_model
    left, right = ours.below("parameter/"), theirs.below("parameter/")
    pairs = evidence.pairs
    if not left and not right:
        return [judge.inconclusive("parameters", "neither model has any to compare")]
    findings: list[Finding] = []
    for side, alone in (("candidate", pairs.reference_only), ("reference", pairs.candidate_only)):
        findings += [f for n in alone for f in evidence.missing(n, side, "parameter")]
    shapes = ours.shapes("parameter/")
    for p in pairs.pairs:
        arrays = {n: theirs.array(f"parameter/{n}") for n in p.candidate}
        single = pairing.Pairing((p,), (), ())
        faced = layout.to_reference(single, arrays, shapes)
        for name in p.reference:
            reference = ours.array(f"parameter/{name}")
            if name in faced:
                findings.append(judge.exact(name, candidate=faced[name], reference=reference))
            else:
                sizes = " + ".join(str(a.shape) for a in arrays.values())
                message = f"{sizes} cannot be laid out as {reference.shape}"
                findings.append(Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf))
    ours_trained = set(ours.facts.get("trainable", ()))
    theirs_trained = set(theirs.facts.get("trainable", ()))
    for p in pairs.pairs:
        for a in p.reference:
            if (a in ours_trained) is not all(n in theirs_trained for n in p.candidate):
                findings.append(_trained_on_one_side(a, a in ours_trained))
    return findings


def _trained_on_one_side(name: str, by_reference: bool) -> Finding:
    sides = ("reference", "candidate") if by_reference else ("candidate", "reference")
    message = f"is trained by the {sides[0]}, not by the {sides[1]}"
    hint = f"the {sides[1]} freezes it (requires_grad, stop_gradient) or holds it as a buffer"
    return Finding(name, "exact", Outcome.DIVERGED, message, (hint,), np.inf)


def configuration(evidence: Evidence) -> list[Finding]:
    """Every setting of every module that faces another, but those of dropout."""
    findings = []
    for name, candidate, reference in evidence.settings():
        findings += judge.facts(
            name,
            candidate={k: v for k, v in candidate.items() if k not in STEP_6},
            reference={k: v for k, v in reference.items() if k not in STEP_6},
            what="setting",
        )
    return findings
