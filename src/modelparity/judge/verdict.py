"""Findings without arrays, and what a step concludes from all of its findings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from modelparity.diagnose import Hint, arrays, first_few
from modelparity.model import Finding, Outcome, Verdict

EXPLAINED = 4  # findings of a step that are looked into
DROPPING = (1, 3, 6, 7, 10)  # steps whose values may have passed a dropout


def missing(name: str, side: str, what: str = "array") -> Finding:
    """A name that one side lacks."""
    message = f"the {side} has no such {what}"
    return Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)


def inconclusive(name: str, message: str, hint: str = "") -> Finding:
    """Evidence that is missing or cannot be used."""
    hints = (hint,) if hint else ()
    return Finding(name, "completeness", Outcome.INCONCLUSIVE, message, hints)


def facts(
    name: str, *, candidate: Mapping[str, Any], reference: Mapping[str, Any], what: str
) -> list[Finding]:
    """Plain values under common keys: every difference is a finding."""
    findings = []
    for key in dict.fromkeys([*reference, *candidate]):
        place = f"{name}.{key}" if name else key
        if key not in candidate or key not in reference:
            findings.append(missing(place, "reference" if key in candidate else "candidate", what))
        elif isinstance(reference[key], float) and isinstance(candidate[key], float | int):
            same = bool(np.isclose(candidate[key], reference[key], rtol=1e-15, atol=0.0))
            findings.append(_fact(place, same, candidate[key], reference[key]))
        else:
            findings.append(
                _fact(place, candidate[key] == reference[key], candidate[key], reference[key])
            )
    return findings


def _fact(name: str, same: bool, candidate: object, reference: object) -> Finding:
    if same:
        return Finding(name, "exact", Outcome.ALIGNED)
    message = f"{candidate} on the candidate, {reference} on the reference"
    return Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)


Why = Callable[[Finding], Iterable[Hint]]


def conclude(
    number: int,
    name: str,
    findings: Sequence[Finding],
    *,
    blame: Sequence[Finding] = (),
    why: Why = lambda _: (),
    **evidence: Any,
) -> Verdict:
    """One outcome from all findings: any diverged, else any inconclusive or none, else aligned.

    `blame` are the findings that name the place best; the reason is taken from them first. `why`
    gives what the step itself knows that could explain a finding; the first ones get hints.
    """
    diverged = [f for f in findings if f.outcome is Outcome.DIVERGED]
    doubtful = [f for f in findings if f.outcome is Outcome.INCONCLUSIVE]
    if diverged:
        first = (list(blame) or diverged)[0]
        reason = f"{first.name}: {first.message}"
        outcome = Outcome.DIVERGED
    elif doubtful or not findings:
        outcome = Outcome.INCONCLUSIVE
        reason = "nothing was compared" if not findings else _because(doubtful[0])
    else:
        outcome = Outcome.ALIGNED
        one = len(findings) == 1
        reason = f"{len(findings):,} comparison{'' if one else 's'} within "
        reason += "its limit" if one else "their limits"
    shown = {id(f) for f in [*blame[:EXPLAINED], *diverged[:EXPLAINED]]}
    explained = tuple(
        _explained(f, why if id(f) in shown else None, number in DROPPING) for f in findings
    )
    return Verdict(number, name, outcome, reason, explained, **evidence)


def _explained(finding: Finding, why: Why | None, dropout: bool) -> Finding:
    """The finding with hints, without the arrays that they were found in."""
    if why is None:
        return replace(finding, compared=None) if finding.compared else finding
    found: Iterable[Hint] = why(finding)
    if finding.compared:
        candidate, reference = finding.compared
        alone = arrays.explain(candidate=candidate, reference=reference, dropout=dropout)
        found = chain(found, alone)
    try:
        hints = dict.fromkeys((*first_few(found), *finding.hints))
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        # What was found stands without its explanation, which recordings may be too odd for.
        failed = f"no explanation: {type(error).__name__}: {error}"
        hints = dict.fromkeys((*finding.hints, failed))
    return replace(finding, hints=tuple(hints), compared=None)


def _because(finding: Finding) -> str:
    return f"{finding.name}: {finding.message}" if finding.name else finding.message
