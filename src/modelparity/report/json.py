"""report.json: the report for programs, as strict JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields

from modelparity.model import Diff, Finding, Outcome, Report, Verdict
from modelparity.report.entries import entries
from modelparity.report.ladder import tightest, worst
from modelparity.report.text import clean

FORMAT = 1
ALIGNED_SHOWN = 20  # those nearest to their limits; `compared` counts all of them


def as_json(report: Report) -> str:
    """The report as JSON text; numbers that JSON lacks are the strings "NaN" and "Infinity"."""
    data = {
        "format": FORMAT,
        "case": report.case,
        "outcome": report.outcome.value,
        "fault": report.fault,
        "settings": report.settings,
        "steps": [_step(report, verdict) for verdict in report.verdicts],
        "sides": report.manifests,
    }
    return json.dumps(plain(data), indent=1, allow_nan=False) + "\n"


def _step(report: Report, verdict: Verdict) -> dict[str, object]:
    gravest = worst(verdict)
    shown = [f for f in verdict.findings if f.outcome is not Outcome.ALIGNED]
    shown += tightest(verdict, ALIGNED_SHOWN)
    return {
        "number": verdict.number,
        "name": verdict.name,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "coverage": verdict.coverage,
        "notes": verdict.notes,
        "worst": _finding(gravest) if gravest else None,
        "means": {
            name: {"float32": pair[0], "float64": pair[1]} for name, pair in verdict.means.items()
        },
        "published": _published(report, verdict),
        "series": verdict.series,
        "details": verdict.details,
        "findings": [_finding(finding) for finding in shown],
        "compared": len(verdict.findings),
    }


def _published(report: Report, verdict: Verdict) -> object:
    """What an older record published of the step, each figure beside ours; its words otherwise."""
    published = report.published.get(verdict.number)
    if isinstance(published, str):
        return published
    return [
        {
            "key": entry.key,
            "published": entry.published,
            "float32": entry.float32,
            "float64": entry.float64,
            "outcome": "not compared" if entry.outcome is None else entry.outcome.value,
        }
        for entry in entries(report, verdict)
        if entry.published
    ]


def _finding(finding: Finding) -> dict[str, object]:
    """A finding and its distance, flat; figures are null where nothing was measured."""
    if finding.diff is None:
        diff: dict[str, object] = {entry.name: None for entry in fields(Diff)}
    else:
        diff = asdict(finding.diff)
    diff["index"] = diff.pop("worst")
    return {
        "name": finding.name,
        "rule": finding.rule,
        "ratio": finding.ratio,
        "outcome": finding.outcome.value,
        "message": finding.message,
        "hints": finding.hints,
        "source": finding.source,
        **diff,
    }


def plain(value: object) -> object:
    """The same data in what JSON knows; NaN and infinities become strings."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {clean(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return clean(value)
