"""junit.xml: the ladder as a test suite, for continuous integration."""

from xml.etree import ElementTree

from modelparity.model import Outcome, Report, Verdict
from modelparity.report.ladder import Rung, coverage_items, how_far, offenders, rungs
from modelparity.report.text import clean

SHOWN = 20


def as_junit(report: Report) -> str:
    """One suite with one case a step: failure, error (inconclusive) or skipped (not claimed)."""
    steps = rungs(report)
    outcomes = [rung.outcome for rung in steps]
    suite = ElementTree.Element(
        "testsuite",
        name=f"modelparity {clean(report.case)}",
        tests=str(len(steps)),
        failures=str(outcomes.count(Outcome.DIVERGED)),
        errors=str(outcomes.count(Outcome.INCONCLUSIVE)),
        skipped=str(outcomes.count(None)),
    )
    for rung in steps:
        _case(suite, clean(report.case), rung)
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_text(suite)}\n'


def _case(suite: ElementTree.Element, case: str, rung: Rung) -> None:
    name = f"{rung.number:02d} {rung.name}"
    element = ElementTree.SubElement(suite, "testcase", classname=f"modelparity.{case}", name=name)
    verdict = rung.verdict
    if verdict is None:
        ElementTree.SubElement(element, "skipped", message="not claimed")
    elif verdict.outcome is Outcome.ALIGNED:
        output = ElementTree.SubElement(element, "system-out")
        output.text = "; ".join([clean(verdict.reason), *coverage_items(verdict.coverage)])
    else:
        diverged = verdict.outcome is Outcome.DIVERGED
        reason = clean(verdict.reason)
        message = reason if diverged else f"inconclusive: {reason}"
        child = ElementTree.SubElement(
            element, "failure" if diverged else "error", type=verdict.outcome.value, message=message
        )
        child.text = "\n".join(_lines(verdict))


def _lines(verdict: Verdict) -> list[str]:
    found = offenders(verdict)
    lines = [" | ".join(filter(None, (f.name, f.message, how_far(f), *f.hints))) for f in found]
    more = [f"and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
    notes = [f"note: {note}" for note in verdict.notes]
    return [clean(line) for line in lines[:SHOWN] + more + notes]


def _text(element: ElementTree.Element) -> str:
    text: str = ElementTree.tostring(element, encoding="unicode")
    return text
