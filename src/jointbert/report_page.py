"""An error report as text for a terminal and as one HTML page without anything to fetch."""

from collections.abc import Iterable, Sequence
from html import escape

from jointbert.error_report import Report, Row, Sentence

SHOWN = 15  # rows of a table on a terminal; the page has them all

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2430; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 2rem; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid #e2e6ec; }
th:first-child, td:first-child { text-align: left; }
td.left, th.left { text-align: left; }
.wrong { background: #fde2e0; border-radius: 3px; padding: 0 .2rem; }
.due { color: #5c6675; font-size: .85em; }
.sentence { border-left: 3px solid #e2e6ec; padding-left: .8rem; margin: .9rem 0; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e9ee; background: #161a20; }
  th, td { border-color: #333a45; } .sentence { border-color: #333a45; }
  .wrong { background: #5a2320; } .due { color: #9aa4b2; }
}
"""


def terminal(report: Report) -> str:
    """The report in plain lines."""
    lines = [_headline(report)]
    lines += [f"  {name:<20} {value:.4f}" for name, value in report.scores.items()]
    if report.cut:
        lines.append(f"  longer than max_seq_len, their last words not read: {_cut(report)}")
    for title, rows in (("intents", report.intents), ("slots", report.slots)):
        lines += ["", f"{title:<32} precision  recall      f1  support"]
        lines += [
            f"  {r.label:<30} {r.precision:9.4f} {r.recall:7.4f} {r.f1:7.4f} {r.support:8d}"
            for r in rows[:SHOWN]
        ]
        if len(rows) > SHOWN:
            lines.append(f"  and {len(rows) - SHOWN} more: --json or --html lists them")
    if report.confusions:
        lines += ["", "intents taken for others"]
        lines += [f"  {c.count:4d}  {c.gold} -> {c.predicted}" for c in report.confusions[:SHOWN]]
    if report.worst:
        lines += ["", f"worst of {report.wrong} sentences with an error"]
    for one in report.worst:
        lines += _lines(one)
    return "\n".join(lines)


def html(report: Report) -> str:
    """The report as a page."""
    scores = "".join(
        f"<tr><td>{escape(name)}</td><td>{value:.4f}</td></tr>"
        for name, value in report.scores.items()
    )
    cut = (
        f"<p>Longer than max_seq_len, last words not read: {_cut(report)}</p>" if report.cut else ""
    )
    confusions = "".join(
        f"<tr><td>{escape(c.gold)}</td><td class=left>{escape(c.predicted)}</td>"
        f"<td>{c.count}</td></tr>"
        for c in report.confusions
    )
    sentences = "".join(_paragraph(one) for one in report.worst)
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        f"<title>{escape(_headline(report))}</title><style>{STYLE}</style>\n"
        f"<h1>{escape(_headline(report))}</h1>\n<table>{scores}</table>{cut}\n"
        f"<h2>Intents</h2>\n{_table(report.intents)}\n<h2>Slots</h2>\n{_table(report.slots)}\n"
        "<h2>Intents taken for others</h2>\n"
        "<table><tr><th>intent</th><th class=left>taken for</th><th>times</th></tr>"
        f"{confusions}</table>\n"
        f"<h2>Worst of {report.wrong} sentences with an error</h2>\n{sentences}\n</html>\n"
    )


def _headline(report: Report) -> str:
    return f"{report.model} on {report.split}: {report.sentences} sentences, {report.framework}"


def _cut(report: Report) -> str:
    shown = ", ".join(str(line) for line in report.cut[:SHOWN])
    more = f" and {len(report.cut) - SHOWN} more" if len(report.cut) > SHOWN else ""
    return f"lines {shown}{more}"


def _table(rows: Sequence[Row]) -> str:
    body = "".join(
        f"<tr><td>{escape(r.label)}</td><td>{r.precision:.4f}</td><td>{r.recall:.4f}</td>"
        f"<td>{r.f1:.4f}</td><td>{r.support}</td></tr>"
        for r in rows
    )
    heads = "".join(f"<th>{name}</th>" for name in ("", "precision", "recall", "F1", "support"))
    return f"<table><tr>{heads}</tr>{body}</table>"


def _lines(one: Sentence) -> Iterable[str]:
    intent = one.gold_intent
    if one.gold_intent != one.predicted_intent:
        intent = f"{one.gold_intent} -> {one.predicted_intent}"
    yield f"  line {one.line}, loss {one.loss:.3f}, {intent}: {one.text}"
    words = one.text.split()
    for word, due, said in zip(words, one.gold, one.predicted, strict=False):
        if due != said:
            yield f"      {word}: {due} -> {said}"


def _paragraph(one: Sentence) -> str:
    words = one.text.split()
    marked = []
    for word, due, said in zip(words, one.gold, one.predicted, strict=False):
        if due == said:
            marked.append(escape(word))
        else:
            marked.append(
                f"<span class=wrong>{escape(word)} <span class=due>{escape(due)} &rarr;"
                f" {escape(said)}</span></span>"
            )
    marked += [escape(word) for word in words[len(one.gold) :]]
    intent = escape(one.gold_intent)
    if one.gold_intent != one.predicted_intent:
        intent = f"<span class=wrong>{intent} &rarr; {escape(one.predicted_intent)}</span>"
    head = f"line {one.line}, loss {one.loss:.3f}, {intent}"
    return f"<div class=sentence><div class=due>{head}</div>{' '.join(marked)}</div>\n"
