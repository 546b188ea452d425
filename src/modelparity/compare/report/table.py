"""The comparison as a table for a terminal, worst first, 80 columns wide."""

from modelparity.compare.report.common import WORDS, label, shown, summary, title
from modelparity.compare.result import Compared, Comparison
from modelparity.model import Outcome
from modelparity.report.terminal import WIDTH, painted
from modelparity.report.text import cells, clean, figure, pad, ratio, shorten, wrap

OFFENDERS, ALIGNED = 20, 5
_NAME = 35


def as_table(comparison: Comparison, colour: bool = False) -> str:
    """One line a tensor, what was found below those that are not aligned, and the outcome."""
    chosen, left = shown(comparison, OFFENDERS, ALIGNED)
    lines = [shorten(title(comparison), WIDTH), ""]
    if chosen:
        head = f"{pad('tensor', _NAME)} {pad('outcome', 13)}{'worst/limit':>11}"
        lines.append(f"{head}{'max':>10}{'mean':>10}")
    for compared in chosen:
        lines += _rows(compared, colour)
    if left:
        lines.append(f"and {left:,} more")
    lines += ["", *(f"{pad(clean(r), 60)} matched {n:,}" for r, n in comparison.matched.items())]
    lines += [f"note: {line}" for note in comparison.notes for line in wrap(clean(note), WIDTH - 6)]
    if lines[-1]:
        lines.append("")
    for line in wrap(summary(comparison), WIDTH):
        lines.append(painted(line, comparison.outcome, colour))
    return "\n".join(lines)


def _rows(compared: Compared, colour: bool) -> list[str]:
    finding, figures = compared.finding, compared.figures
    word = WORDS[finding.outcome]
    # Layers differ in the middle of their names: a long one has a line of its own.
    *above, name = [label(compared)] if cells(label(compared)) <= _NAME else [label(compared), ""]
    line = f"{pad(name, _NAME)} {painted(word, finding.outcome, colour)}{' ' * (13 - len(word))}"
    line += f"{ratio(finding.ratio):>11}"
    if figures is not None:
        line += f"{figure(figures.max_abs):>10}{figure(figures.mean_abs):>10}"
    rows = [part for long in above for part in wrap(long, WIDTH)] + [line]
    if finding.outcome is Outcome.ALIGNED:
        return rows
    for start, text in [("", finding.message), *(("try: ", hint) for hint in finding.hints)]:
        rows += [f"    {part}" for part in wrap(clean(start + text), WIDTH - 4)]
    return rows
