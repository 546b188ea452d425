"""What every report shows of a verdict: the ten rungs, their worst finding, what to read first."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from modelparity.model import Finding, Outcome, Report, Verdict
from modelparity.report.text import clean, compact, count, ratio, singular
from modelparity.steps import STEPS

WORDS = {
    Outcome.ALIGNED: "aligned",
    Outcome.DIVERGED: "DIVERGED",
    Outcome.INCONCLUSIVE: "inconclusive",
    None: "not claimed",
}
_SEVERITY = {Outcome.DIVERGED: 2, Outcome.INCONCLUSIVE: 1, Outcome.ALIGNED: 0}


@dataclass(frozen=True)
class Rung:
    """One of the ten steps, with its verdict where it was requested."""

    number: int
    name: str
    claim: str
    verdict: Verdict | None

    @property
    def outcome(self) -> Outcome | None:
        """The verdict's outcome; None where the step is not claimed."""
        return self.verdict.outcome if self.verdict else None


def rungs(report: Report) -> list[Rung]:
    """All ten steps in order, requested or not."""
    verdicts = {verdict.number: verdict for verdict in report.verdicts}
    return [Rung(step.NUMBER, step.TITLE, step.CLAIM, verdicts.get(step.NUMBER)) for step in STEPS]


def distance(finding: Finding) -> float:
    """The finding's ratio for sorting: what is not a number lies beyond everything."""
    return math.inf if math.isnan(finding.ratio) else finding.ratio


def worst(verdict: Verdict) -> Finding | None:
    """The gravest finding: by outcome first, then measured before unmeasured, then by ratio."""

    def gravity(finding: Finding) -> tuple[int, bool, float]:
        return _SEVERITY[finding.outcome], finding.diff is not None, distance(finding)

    return max(verdict.findings, key=gravity, default=None)


def largest_ratio(verdict: Verdict) -> float | None:
    """The largest ratio among findings that say how far they lie; None where none does."""
    ratios = [
        distance(finding)
        for finding in verdict.findings
        if finding.outcome is not Outcome.INCONCLUSIVE or finding.diff is not None
    ]
    return max(ratios, default=None)


def offenders(verdict: Verdict) -> list[Finding]:
    """Findings that are not aligned, one a name, in the order in which to read them.

    First the one that the verdict's reason quotes (else the worst), then the others as recorded.
    """
    gravest = worst(verdict)
    first = [f for f in verdict.findings if _quoted(f, verdict.reason)][:1]
    ordered = [*(first or ([gravest] if gravest else [])), *verdict.findings]
    unique: dict[str, Finding] = {}
    for outcome in (Outcome.DIVERGED, Outcome.INCONCLUSIVE):
        for finding in ordered:
            if finding.outcome is outcome:
                unique.setdefault(finding.name or finding.message, finding)
    return list(unique.values())


def _quoted(finding: Finding, reason: str) -> bool:
    named = f"{finding.name}: {finding.message}" if finding.name else finding.message
    return finding.outcome is not Outcome.ALIGNED and named == reason


def tightest(verdict: Verdict, number: int) -> list[Finding]:
    """The aligned findings that lie nearest to their limits."""
    aligned = [f for f in verdict.findings if f.outcome is Outcome.ALIGNED]
    return sorted(aligned, key=distance, reverse=True)[:number]


def tally(findings: Iterable[Finding]) -> dict[Outcome, int]:
    """How many findings have each outcome."""
    counts = dict.fromkeys(Outcome, 0)
    for finding in findings:
        counts[finding.outcome] += 1
    return counts


def coverage_items(coverage: Mapping[str, int | float | str]) -> list[str]:
    """Each count with its name."""
    return [_counted(value, key, count) for key, value in coverage.items()]


def _counted(value: int | float | str, key: str, written: Callable[[object], str]) -> str:
    """ "12 batches", "1 batch"; but the horizon is an update, not a number of horizons."""
    if key == "horizon":
        return f"{key} {written(value)}"
    return f"{written(value)} {clean(singular(key) if value == 1 else key)}"


def coverage_in_short(coverage: Mapping[str, int | float | str], width: int) -> str:
    """The most telling counts that fit: the first and the elements, else what fits of them."""
    items = [_counted(value, key, compact) for key, value in coverage.items()]
    elements = [i for i, key in zip(items, coverage, strict=True) if key == "elements"]
    choices = (items[:1] + elements if elements else items[:2], elements, items[:1])
    fitting = (", ".join(dict.fromkeys(c)) for c in choices if c)
    return next((text for text in fitting if len(text) <= width), "")


def how_far(finding: Finding) -> str:
    """The distance against what is allowed, in words; empty where nothing was measured."""
    far = distance(finding)
    if math.isfinite(far):
        words = f"{ratio(far)} times what is allowed" if far > 0.0 else ""
    elif finding.rule == "exact":
        words = "no difference is allowed"
    else:
        words = "beyond any allowance"
    if finding.diff is None:
        return words if finding.outcome is Outcome.DIVERGED else ""
    diff = finding.diff
    size = "1 element" if diff.elements == 1 else f"{diff.elements:,} elements"
    measured = f"mean {diff.mean_abs:.2g}, max {diff.max_abs:.2g} over {size}"
    return f"{words}; {measured}" if words else measured


def standing(report: Report) -> str:
    """Which steps are not aligned, and how many are, in one line."""
    parts = []
    for outcome in (Outcome.DIVERGED, Outcome.INCONCLUSIVE):
        numbers = [v.number for v in report.verdicts if v.outcome is outcome]
        if numbers:
            listed = ", ".join(map(str, numbers))
            parts.append(f"step{'s' * (len(numbers) > 1)} {listed} {outcome.value}")
    claimed = len(report.verdicts)
    aligned = sum(v.outcome is Outcome.ALIGNED for v in report.verdicts)
    parts.append(f"{aligned} of {claimed} claimed steps aligned")
    if claimed < len(STEPS):
        parts.append(f"{len(STEPS) - claimed} not claimed")
    return "; ".join(parts)


def summary(report: Report) -> str:
    """The outcome and where it comes from, in one line."""
    return f"{WORDS[report.outcome]}: {standing(report)}"
