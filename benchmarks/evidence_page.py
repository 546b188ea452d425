"""docs/evidence.md and its HTML from finished reports: blocks first, then either form of them."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelparity import Outcome, Verdict
from modelparity.report.charts import charts
from modelparity.report.ladder import coverage_items
from modelparity.report.markdown import code, escape, table
from modelparity.report.style import CSS
from modelparity.report.svg import draw

LADDER = ("step", "outcome", "worst / limit", "compared")
RECORD = ("step", "key", "published", "ours, float32", "ours, float64")
INTERVALS = ("over seeds", "difference of means", "90% interval", "margin", "p")
SHOWN = ("number", "name", "outcome", "coverage", "notes", "published", "details")
VERSIONS = ("python", "torch", "transformers", "paddle", "numpy")
KEYS = 3  # of equal figures in a row


@dataclass(frozen=True)
class Run:
    """A finished ladder: `command` is what a person types, `report` its report.json."""

    name: str
    title: str
    command: str
    date: str
    report: Mapping[str, Any]


def excerpt(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a report.json."""
    steps = [{key: step[key] for key in SHOWN} | _shown(step) for step in report["steps"]]
    return {"outcome": report["outcome"], "sides": report["sides"], "steps": steps}


def _shown(step: Mapping[str, Any]) -> dict[str, Any]:
    """How much of its allowance was used at most; the curves of a training."""
    ratios = [f["ratio"] for f in step["findings"] if isinstance(f.get("ratio"), int | float)]
    curves = step["series"] if step["number"] == 10 else {}
    return {"used": max(ratios, default=None), "series": curves}


@dataclass(frozen=True)
class Block:
    """A part of the page. kind: h1, h2, h3, p, code, link, table, figure, raw (Markdown)."""

    kind: str
    text: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    target: str = ""


def content(runs: Sequence[Run], waiting: Sequence[str], results: str, reports: str) -> list[Block]:
    """All blocks. `results` is the page of the recipes' scores, `reports` where reports lie."""
    blocks = [
        Block("h1", "Evidence"),
        Block(
            "p",
            "Written by benchmarks/evidence.py from real runs; no figure on this page is typed. "
            "Each section gives the command that makes it again, and links to the report that its "
            "figures come from. DATA is the directory of the tasks, CHECKPOINT that of the "
            "six-layer encoder.",
        ),
        Block("code", "make evidence DATA=DATA CHECKPOINT=CHECKPOINT"),
    ]
    if waiting:
        blocks.append(Block("p", f"Not run yet: {', '.join(waiting)}."))
    for run in runs:
        blocks += _section(run, reports)
    if results:
        blocks += _scores(results)
    return blocks


def _section(run: Run, reports: str) -> Iterator[Block]:
    steps = run.report["steps"]
    yield Block("h2", f"{run.title}: {run.report['outcome']}")
    yield Block("code", run.command)
    yield Block("p", _made(run))
    yield Block("link", "the whole report", target=f"{reports}/{run.name}.html")
    yield Block("table", head=LADDER, rows=[_rung(step) for step in steps])
    published = [row for step in steps for row in _published(step)]
    if published and run.name == "atis":  # whose figures were published
        yield Block("h3", "Beside the published figures")
        yield Block("table", head=RECORD, rows=published)
    for step in steps:
        intervals = step["details"].get("equivalence")
        if intervals:
            yield Block("h3", f"Independent trainings over {step['coverage']['seeds']} seeds")
            rows = [_interval(name, found) for name, found in intervals.items()]
            yield Block("table", head=INTERVALS, rows=rows)
        for note in step["notes"]:
            yield Block("p", f"Step {step['number']}: {note}.")
    yield from _figures(steps)


def _made(run: Run) -> str:
    """When, and with which versions."""
    found: dict[str, str] = {}
    for side in run.report["sides"].values():
        found |= {n: v for n, v in side["environment"].items() if n in VERSIONS}
    return f"{run.date}, {', '.join(f'{n} {v}' for n, v in sorted(found.items()))}."


def _rung(step: Mapping[str, Any]) -> tuple[str, ...]:
    far = f"{step['used']:.2g}" if step["used"] is not None else ""
    compared = ", ".join(coverage_items(step["coverage"]))
    return f"{step['number']} {step['name']}", step["outcome"], far, compared


def _published(step: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    title, published = f"{step['number']} {step['name']}", step["published"]
    if not isinstance(published, list):
        yield title, "", published or "nothing is said", "", ""
        return
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in published:
        figures = tuple(_figure(one[source]) for source in ("published", "float32", "float64"))
        alike.setdefault(figures, []).append(str(one["key"]))
    for figures, keys in alike.items():
        more = f" and {len(keys) - 1} more" if len(keys) > KEYS else ""
        yield title, (keys[0] + more if more else ", ".join(keys)), *figures
        title = ""


def _figure(value: object) -> str:
    return "-" if value is None else f"{float(str(value)):.3g}"


def _interval(name: str, found: Mapping[str, float]) -> tuple[str, ...]:
    interval = f"{found['low']:+.3g} to {found['high']:+.3g}"
    return name, f"{found['mean']:+.3g}", interval, f"{found['margin']:.3g}", f"{found['p']:.2g}"


def _figures(steps: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """The curves of the training, with the envelope."""
    for step in steps:
        if not step["series"]:
            continue
        series = {key: tuple(values) for key, values in step["series"].items()}
        outcome = Outcome(step["outcome"])
        verdict = Verdict(10, step["name"], outcome, "", series=series, details=step["details"])
        for chart, text in charts(verdict):
            keys = ", ".join(curve.label for curve in chart.curves)
            yield Block("figure", f"{chart.title} ({keys}). {text}", target=draw(chart))


def _scores(results: str) -> Iterator[Block]:
    """The recipes' page, one level down, without its title."""
    yield Block("h2", "Scores over seeds")
    yield Block(
        "code", "python benchmarks/jointbert_results.py --data DATA --checkpoint CHECKPOINT"
    )
    rest = results.partition("\n")[2].replace("\n## ", "\n### ").strip()
    yield Block("raw", rest)


def as_markdown(blocks: Sequence[Block], pictures: str) -> str:
    """GitHub-flavoured Markdown; pictures are on the HTML page of this name."""
    written = []
    shown = False
    for block in blocks:
        if block.kind in ("h1", "h2", "h3"):
            written.append(f"{'#' * int(block.kind[1])} {escape(block.text)}")
        elif block.kind == "code":
            written.append(f"```\n{block.text}\n```")
        elif block.kind == "link":
            written.append(f"[{escape(block.text)}]({block.target})")
        elif block.kind == "table":
            written.append(table(block.head, [tuple(map(escape, row)) for row in block.rows]))
        elif block.kind == "raw":
            written.append(block.text)
        elif block.kind == "p":
            written.append(escape(block.text))
        elif block.kind == "figure" and not shown:
            written.append(f"Curves with their envelope: [{code(pictures)}]({pictures}).")
        shown = block.kind == "figure"
    return "\n\n".join(written) + "\n"


APART = "h2 { margin-top: 3rem; } h3 { margin-top: 1.5rem; }\n"  # one card holds several sections


def as_html(blocks: Sequence[Block]) -> str:
    """One page that needs nothing else, curves included."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evidence</title>\n<style>{CSS}{APART}</style></head>\n"
        f'<body><main><section class="card">\n{body}\n</section></main></body></html>\n'
    )


def _html(block: Block) -> str:
    text = html.escape(block.text)
    if block.kind == "link":
        return f'<p><a href="{html.escape(block.target)}">{text}</a></p>'
    if block.kind == "code":
        return f"<p><code>{text}</code></p>"
    if block.kind == "figure":
        return f"<figure>{block.target}<figcaption>{text}</figcaption></figure>"
    if block.kind == "table":
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.head)
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in block.rows]
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        return f'<div class="scroll"><table class="plain"><tr>{head}</tr>\n{body}</table></div>'
    if block.kind == "raw":
        return "\n".join(_html(part) for part in _parsed(block.text))
    return f"<{block.kind}>{text}</{block.kind}>"


def _parsed(markdown: str) -> Iterator[Block]:
    """The little Markdown that the recipes' page is made of: headings, tables, paragraphs."""
    for part in markdown.split("\n\n"):
        lines = part.splitlines()
        if part.startswith("#"):
            level = len(part) - len(part.lstrip("#"))
            yield Block(f"h{level}", part.lstrip("# "))
        elif lines and all(line.startswith("|") for line in lines):
            cells = [[c.strip(" *") for c in line.strip("|").split("|")] for line in lines]
            yield Block("table", head=cells[0], rows=cells[2:])
        elif part.strip():
            yield Block("p", " ".join(lines).replace("`", ""))
