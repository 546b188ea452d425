"""report.html: one self-contained page, without script and without anything fetched."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from modelparity.model import Finding, Outcome, Report, Verdict
from modelparity.report.charts import charts
from modelparity.report.explain import MEANING, OUTCOMES, RULES
from modelparity.report.ladder import (
    WORDS,
    Rung,
    coverage_in_short,
    coverage_items,
    how_far,
    largest_ratio,
    offenders,
    rungs,
    standing,
    tightest,
)
from modelparity.report.sides import flattened, side_by_side
from modelparity.report.style import CSS
from modelparity.report.svg import Chart, draw, gauge
from modelparity.report.text import clean, figure, ratio

SHOWN = 4  # findings in sight
FOLDED = 20  # further ones behind a click
MODULES = 400  # rows of the table below the growth chart
_STYLES = {
    Outcome.ALIGNED: ("aligned", "✓"),
    Outcome.DIVERGED: ("diverged", "✕"),
    Outcome.INCONCLUSIVE: ("inconclusive", "?"),
    None: ("unclaimed", "–"),
}


def as_html(report: Report) -> str:
    """The report as an HTML page."""
    steps = rungs(report)
    title = _text(f"{report.case}: {report.outcome.value}")
    body = [_header(report), _ladder(steps)]
    body += [_step(rung, rung.verdict) for rung in steps if rung.verdict is not None]
    body += [_sides(report), _legend()]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{CSS}</style></head>",
            "<body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )


def _text(value: object) -> str:
    return escape(clean(value))


def _name(value: object) -> str:
    """A dotted or slashed name that may break behind its parts."""
    return _text(value).replace(".", ".<wbr>").replace("/", "/<wbr>")


def _header(report: Report) -> str:
    style, _ = _STYLES[report.outcome]
    fault = f"<p>Planted fault: <code>{_text(report.fault)}</code></p>" if report.fault else ""
    return (
        f'<header class="page {style}"><div class="soft">modelparity: {_text(report.case)}</div>'
        f"<h1>{report.outcome.value.capitalize()}</h1>"
        f'<p class="meaning">{MEANING[report.outcome]}</p>'
        f'<p class="soft">{_text(standing(report)).capitalize()}.</p>{fault}</header>'
    )


def _ladder(steps: Iterable[Rung]) -> str:
    head = (
        '<li><div class="row head"><span></span><span></span><span>step</span><span>outcome</span>'
        '<span>compared</span><span>distance to limit</span><span class="ratio">ratio</span>'
        "</div></li>"
    )
    rows = "\n".join(_rung(rung) for rung in steps)
    return (
        f'<section class="card"><h2>The ladder</h2><ol class="rungs">{head}\n{rows}</ol></section>'
    )


def _rung(rung: Rung) -> str:
    style, mark = _STYLES[rung.outcome]
    verdict = rung.verdict
    compared = coverage_in_short(verdict.coverage, 36) if verdict else ""
    far = largest_ratio(verdict) if verdict else None
    inner = (
        f'<span class="number">{rung.number}</span><span class="mark">{mark}</span>'
        f'<span class="title">{rung.name}</span>'
        f'<span class="word">{WORDS[rung.outcome].lower()}</span>'
        f'<span class="compared">{_text(compared)}</span>'
        f'<span class="strip">{gauge(far)}</span>'
        f'<span class="ratio">{ratio(far) if verdict else ""}</span>'
    )
    tag = f'a href="#step-{rung.number}"' if verdict else "div"
    return f'<li class="{style}"><{tag} class="row">{inner}</{tag.split()[0]}></li>'


def _step(rung: Rung, verdict: Verdict) -> str:
    style, mark = _STYLES[verdict.outcome]
    chips = "".join(f"<li>{_text(item)}</li>" for item in coverage_items(verdict.coverage))
    notes = "".join(f"<li>{_text(note)}</li>" for note in verdict.notes)
    parts = [
        f'<section class="card step {style}" id="step-{rung.number}"><div class="heading">'
        f'<span class="mark">{mark}</span><h2>{rung.number}. {rung.name}</h2>'
        f'<span class="word">{WORDS[verdict.outcome].lower()}</span></div>',
        f'<p class="soft">Claim: {_text(rung.claim)}.</p>',
        _reason(verdict),
        f'<ul class="chips">{chips}</ul>' if chips else "",
        f'<ul class="notes">{notes}</ul>' if notes else "",
        _findings(verdict),
        *(_figure(chart, text) for chart, text in charts(verdict)),
        _modules(verdict),
        _scores(verdict),
        _over_seeds(verdict),
        "</section>",
    ]
    return "\n".join(filter(None, parts))


def _reason(verdict: Verdict) -> str:
    first = next(iter(offenders(verdict)), None)
    hints = [f"<p><b>Try:</b> {_text(hint)}</p>" for hint in (first.hints if first else ())]
    return f'<div class="reason"><div>{_text(verdict.reason)}</div>{"".join(hints)}</div>'


def _findings(verdict: Verdict) -> str:
    """What is not aligned, in sight; what is aligned but nearest to its limit, folded."""
    found = offenders(verdict)
    parts = []
    if any(f.diff or f.name for f in found):  # what has neither stands in the reason
        parts.append(_finding_table(found[:SHOWN]))
    if len(found) > SHOWN:
        rest, shown = len(found) - SHOWN, found[SHOWN : SHOWN + FOLDED]
        title = f"{rest:,} more" + (f", the first {FOLDED}" if rest > FOLDED else "")
        parts.append(f"<details><summary>{title}</summary>{_finding_table(shown)}</details>")
    near = [f for f in tightest(verdict, FOLDED) if f.diff is not None]
    if near:
        title = f"Aligned and nearest to the limit, of {len(verdict.findings):,} compared"
        parts.append(f"<details><summary>{title}</summary>{_finding_table(near)}</details>")
    return "\n".join(parts)


def _finding_table(findings: Iterable[Finding]) -> str:
    head = ("where", "kind", "mean", "max", "worst / limit", "what")
    rows = []
    for finding in findings:
        diff = finding.diff
        what = _text(finding.message or how_far(finding))
        hints = "".join(f'<span class="hint">{_text(hint)}</span>' for hint in finding.hints)
        far = "-" if finding.outcome is Outcome.INCONCLUSIVE and not diff else ratio(finding.ratio)
        rows.append(
            f'<td class="name">{_name(finding.name)}</td>'
            f'<td class="kind">{_text(finding.rule)}</td>'
            f'<td class="number" data-label="mean">{figure(diff.mean_abs if diff else None)}</td>'
            f'<td class="number" data-label="max">{figure(diff.max_abs if diff else None)}</td>'
            f'<td class="number" data-label="of limit">{far}</td>'
            f'<td class="what">{what}{hints}</td>'
        )
    return _table(head, rows, numbers=(2, 3, 4), style="findings")


def _table(
    head: Sequence[str], rows: Iterable[str], numbers: Sequence[int] = (), style: str = "plain"
) -> str:
    titles = "".join(
        f'<th class="number">{t}</th>' if i in numbers else f"<th>{t}</th>"
        for i, t in enumerate(head)
    )
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{style}"><tr>{titles}</tr>\n{body}</table></div>'


def _figure(chart: Chart, text: str) -> str:
    drawn = draw(chart)
    if not drawn:
        return ""
    keys = "".join(
        f'<span><svg viewBox="0 0 26 10" class="curve {curve.style}" aria-hidden="true">'
        f'<line x1="0" x2="26" y1="5" y2="5"/></svg>{_text(curve.label)}</span>'
        for curve in chart.curves
    )
    return (
        f'<figure><h3>{_text(chart.title)}</h3><div class="keys">{keys}</div>'
        f'<div class="scroll">{drawn}</div><figcaption>{_text(text)}</figcaption></figure>'
    )


def _modules(verdict: Verdict) -> str:
    """The growth of the gap in figures, for those who cannot hover over a point."""
    names = verdict.details.get("modules")
    single, double = (verdict.series.get(f"gap/{dtype}", ()) for dtype in ("float32", "float64"))
    if not isinstance(names, list | tuple) or not names:
        return ""
    rows = [
        f'<td class="number">{number}</td><td class="name">{_name(name)}</td>'
        f'<td class="number">{figure(a)}</td><td class="number">{figure(b)}</td>'
        for number, (name, a, b) in enumerate(zip(names, single, double, strict=False))
    ]
    table = _table(("", "module", "float32", "float64"), rows[:MODULES], numbers=(0, 2, 3))
    return f"<details><summary>The gap of each module</summary>{table}</details>"


def _scores(verdict: Verdict) -> str:
    scores = verdict.details.get("scores")
    if not isinstance(scores, Mapping):
        return ""
    rows = [
        f'<td class="name">{_name(name)}</td>'
        + "".join(f'<td class="number">{_text(f"{value:.6g}")}</td>' for value in values)
        for name, values in scores.items()
        if isinstance(values, list | tuple) and len(values) == 2
    ]
    if not rows:
        return ""
    table = _table(("score", "reference", "candidate"), rows, numbers=(1, 2))
    return f"<details><summary>Scores of both sides</summary>{table}</details>"


def _over_seeds(verdict: Verdict) -> str:
    """Differences of means over seeds, where there are any."""
    found = verdict.details.get("equivalence")
    if not isinstance(found, Mapping) or not found:
        return ""
    keys = ("mean", "low", "high", "margin", "p")
    rows = [
        f'<td class="name">{_name(name)}</td>'
        + "".join(f'<td class="number">{figure(one[key])}</td>' for key in keys)
        for name, one in found.items()
    ]
    head = ("over seeds", "difference of means", "90% from", "to", "margin", "p")
    return _table(head, rows, numbers=range(1, 6))


def _sides(report: Report) -> str:
    rows = [
        f'<td class="soft">{_text(key)}</td><td class="name">{_text(a)}</td>'
        f'<td class="name">{_text(b)}</td>'
        for key, a, b in side_by_side(report.manifests)
    ]
    settings = [
        f'<td class="soft">{_text(key)}</td><td class="name">{_text(value)}</td>'
        for key, value in flattened(report.settings)
    ]
    return (
        '<section class="card"><h2>Both sides</h2>'
        f"{_table(('', 'reference', 'candidate'), rows)}"
        f"<details><summary>Settings of the case, {len(settings)}</summary>"
        f"{_table(('setting', 'value'), settings)}</details></section>"
    )


def _legend() -> str:
    def listed(pairs: Iterable[tuple[str, str]]) -> str:
        return "".join(f"<dt>{_text(a)}</dt><dd>{_text(b)}.</dd>" for a, b in pairs)

    return (
        '<section class="card"><h2>How to read this</h2>'
        f'<dl class="legend">{listed(OUTCOMES)}</dl>'
        "<details><summary>The kinds of evidence and their limits</summary>"
        f'<dl class="legend">{listed(RULES)}</dl></details></section>'
    )
