"""The comparison as GitHub-flavoured Markdown, for merge requests."""

from modelparity.compare.report.common import WORDS, label, shown, summary, title
from modelparity.compare.result import Compared, Comparison
from modelparity.model import Outcome
from modelparity.report.markdown import code, escape, table
from modelparity.report.text import figure, ratio

OFFENDERS, ALIGNED = 50, 10
_HEAD = ("tensor", "outcome", "worst / limit", "max", "mean", "rms ratio", "what", "try")


def as_markdown(comparison: Comparison) -> str:
    """The outcome, then the tensors, worst first."""
    chosen, left = shown(comparison, OFFENDERS, ALIGNED)
    blocks = [f"# {escape(title(comparison))}", f"{escape(summary(comparison))}."]
    if chosen:
        blocks.append(table(_HEAD, map(_row, chosen)))
    if left:
        blocks.append(f"And {left:,} more.")
    if comparison.matched:
        rows = [(code(rule), f"{n:,}") for rule, n in comparison.matched.items()]
        blocks.append(table(("rule", "matched"), rows))
    if comparison.notes:
        blocks.append("\n".join(f"- {escape(note)}" for note in comparison.notes))
    return "\n\n".join(blocks) + "\n"


def _row(compared: Compared) -> tuple[str, ...]:
    finding, figures = compared.finding, compared.figures
    word = WORDS[finding.outcome]
    word = f"**{word}**" if finding.outcome is Outcome.DIVERGED else word
    far = ("", "", "")
    if figures is not None:
        far = (
            figure(figures.max_abs),
            figure(figures.mean_abs),
            figure(figures.rms_ratio),
        )
    what, hints = escape(finding.message), escape("; or ".join(finding.hints))
    return code(label(compared)), word, ratio(finding.ratio), *far, what, hints
