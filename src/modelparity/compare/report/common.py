"""What every report of a comparison says, decided once."""

from collections import Counter

from modelparity.compare.result import Compared, Comparison
from modelparity.model import Outcome
from modelparity.report.text import clean

WORDS = {
    Outcome.ALIGNED: "aligned",
    Outcome.DIVERGED: "DIVERGED",
    Outcome.INCONCLUSIVE: "inconclusive",
}


def title(comparison: Comparison) -> str:
    """What was compared with what."""
    sides = [comparison.candidate or "candidate", comparison.reference or "reference"]
    words = " against ".join(map(clean, sides))
    return words + (f", by the truth of {clean(comparison.truth)}" if comparison.truth else "")


def tally(comparison: Comparison) -> dict[Outcome, int]:
    """How many tensors have each outcome."""
    counts = Counter(c.finding.outcome for c in comparison.tensors)
    return {outcome: counts[outcome] for outcome in Outcome}


def summary(comparison: Comparison) -> str:
    """The outcome and what it rests on, in one line."""
    counts = tally(comparison)
    parts = [
        f"{counts[outcome]:,} {outcome.value}"
        for outcome in (Outcome.DIVERGED, Outcome.INCONCLUSIVE, Outcome.ALIGNED)
        if counts[outcome]
    ]
    elements = comparison.coverage.get("elements", 0)
    total = len(comparison.tensors)
    names = "1 tensor" if total == 1 else f"{total:,} tensors"
    listed = ", ".join(parts) or "nothing was compared"
    word = WORDS[comparison.outcome]
    return f"{word}: of {names} {listed}; {elements:,} elements compared"


def label(compared: Compared) -> str:
    """The tensor's name, and the candidate's where that is another; both as printable text."""
    name, other = compared.finding.name, compared.candidate
    name = clean(name) or "(no name)"
    same = other is None or other == compared.finding.name
    return name if same else f"{name} -> {clean(other)}"


def shown(comparison: Comparison, offenders: int, aligned: int) -> tuple[list[Compared], int]:
    """The worst that are not aligned, then those nearest to their limits; how many are left out."""
    wrong = [c for c in comparison.tensors if c.finding.outcome is not Outcome.ALIGNED]
    right = [c for c in comparison.tensors if c.finding.outcome is Outcome.ALIGNED]
    chosen = wrong[:offenders] + right[:aligned]
    return chosen, len(comparison.tensors) - len(chosen)
