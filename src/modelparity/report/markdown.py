"""report.md: the ladder, what is wrong and what both sides ran on, for merge requests."""

import re
from collections.abc import Iterable, Sequence

from modelparity.model import Finding, Outcome, Report, Verdict
from modelparity.report.explain import MEANING
from modelparity.report.ladder import (
    WORDS,
    Rung,
    coverage_items,
    how_far,
    largest_ratio,
    offenders,
    rungs,
    summary,
)
from modelparity.report.sides import flattened, side_by_side
from modelparity.report.text import clean, ratio

SHOWN = 10
# What GitHub's Markdown could read as markup inside a paragraph or a table's cell. An underscore
# inside a word and a number sign inside a line are not markup, and names are full of them.
_SPECIAL = re.compile(r"([\\`*\[\]<>|~&]|^#|(?<![^\W_])_|_(?![^\W_]))")


def as_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown."""
    steps = rungs(report)
    blocks = [f"# {escape(report.case)}: {report.outcome.value}", MEANING[report.outcome]]
    if report.fault:
        blocks.append(f"Planted fault: {code(report.fault)}.")
    rows = [_row(rung) for rung in steps]
    head = ("#", "step", "outcome", "compared", "worst / limit")
    blocks += [escape(summary(report)) + ".", table(head, rows)]
    for rung in steps:
        if rung.verdict is not None and rung.outcome is not Outcome.ALIGNED:
            blocks += _details(rung, rung.verdict)
    notes = [
        f"- {rung.number} {rung.name}: {escape(note)}"
        for rung in steps
        if rung.verdict is not None and rung.outcome is Outcome.ALIGNED
        for note in rung.verdict.notes
    ]
    if notes:
        blocks += ["## What weakens the aligned steps", "\n".join(notes)]
    blocks.append("## Both sides")
    cells = [tuple(map(code, row)) for row in side_by_side(report.manifests)]
    blocks.append(table(("", "reference", "candidate"), cells))
    settings = [(code(key), code(value)) for key, value in flattened(report.settings)]
    blocks += ["## Settings", table(("setting", "value"), settings)]
    return "\n\n".join(blocks) + "\n"


def _row(rung: Rung) -> tuple[str, ...]:
    word = WORDS[rung.outcome]
    word = f"**{word}**" if rung.outcome is Outcome.DIVERGED else word
    if rung.verdict is None:
        return str(rung.number), rung.name, word, "", ""
    compared = escape(", ".join(coverage_items(rung.verdict.coverage)))
    return str(rung.number), rung.name, word, compared, ratio(largest_ratio(rung.verdict))


def _details(rung: Rung, verdict: Verdict) -> list[str]:
    blocks = [f"## {rung.number} {rung.name}: {verdict.outcome.value}"]
    blocks.append(f"Claim: {rung.claim}.")
    blocks.append(escape(verdict.reason))
    found = offenders(verdict)
    if found:
        rows = [_finding(finding) for finding in found[:SHOWN]]
        blocks.append(table(("where", "kind", "worst / limit", "what", "try"), rows))
    if len(found) > SHOWN:
        blocks.append(f"And {len(found) - SHOWN:,} more names.")
    if verdict.notes:
        blocks.append("\n".join(f"- {escape(note)}" for note in verdict.notes))
    return blocks


def _finding(finding: Finding) -> tuple[str, ...]:
    what = escape(finding.message or how_far(finding))
    far = ratio(finding.ratio) if finding.outcome is Outcome.DIVERGED else ""
    return code(finding.name), escape(finding.rule), far, what, escape("; or ".join(finding.hints))


def escape(text: object) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", clean(text))


def code(text: object) -> str:
    """A code span that also holds inside a table; nothing for nothing."""
    words = clean(text).replace("|", "\\|").replace("`", "'")
    return f"`{words}`" if words.strip() else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
