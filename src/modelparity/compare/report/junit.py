"""The comparison as a test suite, one case a tensor, for continuous integration."""

from xml.etree import ElementTree

from modelparity.compare.report.common import label, summary, tally, title
from modelparity.compare.result import Compared, Comparison
from modelparity.model import Outcome
from modelparity.report.text import clean, figure, ratio


def as_junit(comparison: Comparison) -> str:
    """Diverged is a failure, inconclusive an error; nothing compared is one error."""
    counts = tally(comparison)
    empty = not comparison.tensors
    suite = ElementTree.Element(
        "testsuite",
        name=f"modelparity diff {title(comparison)}",
        tests=str(len(comparison.tensors) or 1),
        failures=str(counts[Outcome.DIVERGED]),
        errors=str(1 if empty else counts[Outcome.INCONCLUSIVE]),
        skipped="0",
    )
    for compared in comparison.tensors:
        _case(suite, compared)
    if empty:
        case = ElementTree.SubElement(suite, "testcase", classname="modelparity.diff", name="all")
        ElementTree.SubElement(case, "error", type="inconclusive", message=comparison.reason)
    ElementTree.SubElement(suite, "system-out").text = summary(comparison)
    ElementTree.indent(suite)
    text: str = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(suite: ElementTree.Element, compared: Compared) -> None:
    finding, figures = compared.finding, compared.figures
    case = ElementTree.SubElement(
        suite, "testcase", classname="modelparity.diff", name=label(compared)
    )
    far = ""
    if figures is not None:
        far = f"worst/limit {ratio(finding.ratio)}, max {figure(figures.max_abs)}"
    if finding.outcome is Outcome.ALIGNED:
        ElementTree.SubElement(case, "system-out").text = far
        return
    kind = "failure" if finding.outcome is Outcome.DIVERGED else "error"
    child = ElementTree.SubElement(
        case, kind, type=finding.outcome.value, message=clean(finding.message)
    )
    child.text = clean(" | ".join(filter(None, (finding.message, far, *finding.hints))))
