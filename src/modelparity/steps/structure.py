"""Two models' structure: parameters after transfer, and what their modules are set to."""

from collections.abc import Mapping

import numpy as np

from modelparity import judge, layout, pairing
from modelparity.model import Finding, Outcome
from modelparity.recording import Recording
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


def runs(evidence: Evidence, run: str) -> list[Finding]:
    """The outermost modules of both models that run less often on the candidate, and others more.

    Where some only run more often, as in a loss that runs the model once more, nothing is said:
    what those runs make is told from what the reference lacks.
    """
    names = evidence.module_names
    ours = _times(evidence.reference, f"float64/{run}/", {m: m for m in names.values()})
    theirs = _times(evidence.candidate, f"float64/{run}/", names)
    ours |= _times(evidence.reference, f"float64/{run}/", _unused(evidence))
    wrong = [m for m in {**ours, **theirs} if ours.get(m, 0) != theirs.get(m, 0)]
    outermost = [m for m in wrong if not any(m.startswith(f"{other}.") for other in wrong)]
    counts = {m: (theirs.get(m, 0), ours.get(m, 0)) for m in outermost}
    findings: list[Finding] = []
    signs = {c < r for c, r in counts.values()}
    if signs != {True, False} and not any(0 < c < r for c, r in counts.values()):
        return findings
    for module, (c, r) in sorted(counts.items(), key=lambda one: one[1][0] > one[1][1]):
        message = f"runs {_often(c)} on the candidate, {_often(r)} on the reference (batch {run})"
        others = [m for m, (more, less) in counts.items() if more > less]
        hints = (f"{others[0]} runs more often instead",) if others and c < r else ()
        finding = Finding(module, "exact", Outcome.DIVERGED, message, hints, np.inf)
        findings.append(finding)
    return findings


def _unused(evidence: Evidence) -> dict[str, str]:
    """The reference's modules that never run on the candidate, which has their parameters.

    Those that one module of the candidate stands for together, such as q, k and v, do not count.
    """
    faced = set(evidence.module_names.values())
    alone = [p.reference[0] for p in evidence.pairs.pairs if len(p.reference) == 1]
    paired = {name.rpartition(".")[0] for name in alone}
    ours = evidence.reference_model.facts.get("modules", {})
    return {
        m: m for m in ours if m not in faced and any(f"{n}.".startswith(f"{m}.") for n in paired)
    }


def _times(side: Recording, start: str, names: Mapping[str, str]) -> dict[str, int]:
    """How often each module (the reference's name) ran below `start`."""
    found: dict[str, int] = {}
    for name in side.below(start):
        module, _, rest = name.partition("#")
        if rest and module in names:
            number = int(rest.partition(".")[0]) + 1
            found[names[module]] = max(number, found.get(names[module], 0))
    return found


def _often(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
