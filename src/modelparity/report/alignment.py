"""alignment.md: our run in the form of the published alignment record.

Its ten headings in its order, its keys, its tables and log lines (without their clock); beside each
figure our outcome, and the published figure where there is one.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter

from modelparity.errors import UsageError
from modelparity.model import Outcome, Report, Verdict
from modelparity.report.entries import Entry, entries, figures, groups, single, unmeasured
from modelparity.report.ladder import coverage_items, offenders, rungs
from modelparity.report.markdown import escape, table
from modelparity.report.text import clean, figure, ratio
from modelparity.report.wording import LANGUAGES, Wording

_PASSED = {
    Outcome.ALIGNED: "True",
    Outcome.DIVERGED: "False",
    Outcome.INCONCLUSIVE: "inconclusive",
    None: "not compared",
}
_CLOSING = {
    Outcome.ALIGNED: "diff check passed",
    Outcome.DIVERGED: "diff check failed",
    Outcome.INCONCLUSIVE: "diff check inconclusive",
}
# What an encoder returns is called `*_output` in Hugging Face's models, and in the record.
_ENCODER = "_output"
COLLAPSED = 20  # log lines beyond which a log is folded


def alignment(report: Report, language: str = "en") -> str:
    """The record as Markdown. UsageError for a language other than "en" and "zh"."""
    if language not in LANGUAGES:
        raise UsageError(f"language {language}: one of {', '.join(LANGUAGES)}")
    words = LANGUAGES[language]
    blocks = [f"# {words.title}", words.intro]
    for rung in rungs(report):
        blocks.append(f"## {rung.number}. {words.steps[rung.number - 1]}")
        if rung.verdict is None:
            blocks.append(words.unclaimed)
        else:
            published = report.published.get(rung.number)
            if isinstance(published, str):
                blocks.append(words.no_figure.format(words=escape(published)))
            blocks += [*_body(report, rung.verdict, words), *_conclusion(rung.verdict, words)]
    return "\n\n".join(blocks) + "\n"


def _body(report: Report, verdict: Verdict, words: Wording) -> list[str]:
    number = verdict.number
    if number == 1:
        return _forward(entries(report, verdict), words)
    if number == 2:
        found = entries(report, verdict)
        title = words.largest.format(count=f"{len(verdict.means):,}")
        listed = _listed([entry for entry in found if entry.published], words)
        blocks = [_figures([single(report, verdict, title)], words), _log(found, verdict, words)]
        return [*blocks, _folded(words.keys, listed)] if figures(report, number) else blocks
    if number == 3:
        found = entries(report, verdict)
        return [_log(found, verdict, words), _listed(found, words)]
    if number in words.figures:
        title = words.figures[number]
        known = [replace(e, key=title) for e in entries(report, verdict) if e.published]
        blocks = [_figures(known or [single(report, verdict, title)], words)]
        if offenders(verdict):
            blocks.append(_log_of(_failed(verdict), verdict, words))
        return blocks + (_groups(verdict, words) if number == 7 else [])
    return [*_groups(verdict, words), *_scores(verdict, words)]


def _failed(verdict: Verdict) -> list[tuple[str, str, str]]:
    """The log lines of what is not aligned, where the record has no line for what is."""
    return [
        (
            clean(finding.name),
            _PASSED[finding.outcome],
            _exactly(finding.diff.mean_abs) if finding.diff else f"- ({clean(finding.message)})",
        )
        for finding in offenders(verdict)
    ]


def _forward(found: list[Entry], words: Wording) -> list[str]:
    encoder = [entry for entry in found if entry.key.endswith(_ENCODER)]
    whole = [entry for entry in found if not entry.key.endswith(_ENCODER)]
    blocks = []
    for title, part in ((words.encoder, encoder), (words.whole, whole)):
        blocks += [f"### {title}", _figures(part, words) if part else words.not_compared]
    return blocks


def _figures(found: Iterable[Entry], words: Wording) -> str:
    """The record's table, keys as its columns, with a row for each source of figures."""
    found = list(found)
    rows = [
        (title, *(_exactly(value(entry)) for entry in found))
        for title, value in _sources(found, words).items()
    ]
    if any(entry.published for entry in found):
        rows.append((words.published, *(escape(entry.published or "-") for entry in found)))
    rows.append((words.outcome, *(words.outcomes[entry.outcome] for entry in found)))
    return table(("", *(escape(entry.key) for entry in found)), rows)


def _listed(found: Iterable[Entry], words: Wording) -> str:
    """The same figures with keys as rows, for more keys than a page is wide."""
    found = list(found)
    sources, known = _sources(found, words), any(entry.published for entry in found)
    rows = [
        (
            escape(entry.key),
            *(_exactly(value(entry)) for value in sources.values()),
            *([escape(entry.published or "-")] if known else []),
            words.outcomes[entry.outcome],
        )
        for entry in found
    ]
    head = ("", *sources, *([words.published] if known else []), words.outcome)
    return table(head, rows)


def _sources(found: list[Entry], words: Wording) -> dict[str, Callable[[Entry], float | None]]:
    """What our figures are called and where they stand: both precisions, where there are both."""
    if not any(entry.float32 is not None and entry.float64 is not None for entry in found):
        return {words.ours: attrgetter("value")}
    return {f"{words.ours}, {dtype}": attrgetter(dtype) for dtype in ("float32", "float64")}


def _exactly(value: float | None) -> str:
    """All digits, as the record gives them."""
    return "-" if value is None else repr(float(value))


def _log(found: list[Entry], verdict: Verdict, words: Wording) -> str:
    logged = [(clean(e.key), _PASSED[e.outcome], _exactly(e.value)) for e in found]
    logged += [
        (clean(f.name), _PASSED[f.outcome], f"- ({clean(f.message)})") for f in unmeasured(verdict)
    ]
    return _log_of(logged, verdict, words)


def _log_of(logged: list[tuple[str, str, str]], verdict: Verdict, words: Wording) -> str:
    """Two lines a name, as the record has them: the key, then whether it passed and its mean."""
    lines = []
    for key, passed, value in logged:
        lines.append(f"root INFO: {key}: ")
        lines.append(f"root INFO: \tmean diff: check passed: {passed}, value: {value}")
    lines.append(f"root INFO: {_CLOSING[verdict.outcome]}")
    block = "\n".join(["```", *lines, "```"])
    if len(logged) <= COLLAPSED:
        return block
    return _folded(words.log.format(count=f"{len(logged):,}"), block)


def _folded(title: str, block: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{block}\n\n</details>"


def _groups(verdict: Verdict, words: Wording) -> list[str]:
    """What the published record leaves empty: every comparison of the step, by kind."""
    found = groups(verdict, facts=words.facts, parameters=words.parameters)
    if not found:
        return []
    head = ("", words.arrays, words.off, f"{words.most}, float32", f"{words.most}, float64")
    rows = [
        (
            escape(group.name),
            f"{group.compared:,}",
            f"{group.off:,}",
            figure(group.float32),
            figure(group.float64),
            ratio(group.ratio),
        )
        for group in found
    ]
    return [table((*head, words.ratio), rows), words.truth]


def _scores(verdict: Verdict, words: Wording) -> list[str]:
    scores = verdict.details.get("scores")
    if verdict.number != 10 or not isinstance(scores, dict):
        return []
    pairs = [(name, pair) for name, pair in scores.items() if len(pair) == 2]
    rows = [(escape(name), *(f"{value:.6g}" for value in pair)) for name, pair in pairs]
    return [table((words.scores, words.reference, words.candidate), rows)] if rows else []


def _conclusion(verdict: Verdict, words: Wording) -> list[str]:
    lines = [f"- {words.outcome}: **{words.outcomes[verdict.outcome]}**. {escape(verdict.reason)}"]
    if verdict.coverage:
        lines.append(f"- {words.compared}: {escape(', '.join(coverage_items(verdict.coverage)))}")
    lines += [f"- {escape(note)}" for note in verdict.notes]
    return ["\n".join(lines)]
