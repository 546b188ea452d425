"""A verdict's mean differences under the keys of an older record, each with its outcome."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from modelparity import judge
from modelparity.model import Diff, Finding, Outcome, Report, Verdict
from modelparity.report.ladder import distance

# Steps 2, 3 and 8 put the split, and the batch where there is one, before the field's own name.
_PREFIX = re.compile(r"[^_]+_(?:\d+_)?")
_PREFIXED = (2, 3, 8)
_DTYPE = re.compile(r"(float32|float64)/")
_COUNTER = re.compile(r"(?:[a-z]+\.)?\d+")  # "3", "update.3", "variant.0"


@dataclass(frozen=True)
class Entry:
    """One key of the record: ours in either precision, the published figure, our outcome.

    The outcome is None where the published record has a key that this run did not compare.
    """

    key: str
    float32: float | None
    float64: float | None
    published: str
    outcome: Outcome | None

    @property
    def value(self) -> float | None:
        """The figure that the published record gives: float32 where there is one."""
        return self.float64 if self.float32 is None else self.float32


def figures(report: Report, number: int) -> Mapping[str, str]:
    """The figures that were published of a step, by their keys; none where it gave only words."""
    published = report.published.get(number, {})
    return {} if isinstance(published, str) else published


def entries(report: Report, verdict: Verdict) -> list[Entry]:
    """One entry a key, in the published order where there is one, then those nobody compared.

    Where one figure was published of the whole step, the whole step's outcome is its.
    """
    published = figures(report, verdict.number)
    aliases = report.aliases.get(verdict.number, {})
    covers = {key: pattern for pattern, key in aliases.items() if "*" in pattern}
    found = [_pooled(verdict, key, covers[key], published.get(key, "")) for key in covers]
    met, outcomes = set(covers), _outcomes(verdict.findings)
    for name, (mean32, mean64) in verdict.means.items():
        if name in covers or any(fnmatchcase(name, pattern) for pattern in covers.values()):
            continue
        key, source = _key(name, verdict.number, published, aliases)
        met.add(source)
        outcome = _outcome(verdict, outcomes.get(name, ()))
        found.append(Entry(key, mean32, mean64, published.get(source, ""), outcome))
    if len(published) == 1:
        found = [replace(e, outcome=verdict.outcome) if e.published else e for e in found]
    order = {key: number for number, key in enumerate(published)}
    found.sort(key=lambda entry: order.get(entry.key, len(order)))
    return found + [Entry(k, None, None, v, None) for k, v in published.items() if k not in met]


def _pooled(verdict: Verdict, key: str, pattern: str, published: str) -> Entry:
    """All compared arrays that a pattern matches as one mean over their elements.

    Where names carry no precision, it is the one in which the step gives its means.
    """
    matched = [f for f in verdict.findings if fnmatchcase(f.name, pattern)]
    only_double = all(mean32 is None for mean32, _ in verdict.means.values())
    plain = "float64/" if only_double else "float32/"
    parts: dict[str, list[Finding]] = {"float32/": [], "float64/": []}
    for finding in matched:
        start = _DTYPE.match(finding.name)
        parts[start.group() if start else plain].append(finding)
    single, double = (_mean(f.diff for f in found if f.diff) for found in parts.values())
    outcome = _outcome(verdict, [f.outcome for f in matched]) if matched else None
    return Entry(key, single, double, published, outcome)


def _mean(diffs: Iterable[Diff]) -> float | None:
    """The mean absolute difference over all elements."""
    known = list(diffs)
    elements = sum(diff.elements for diff in known)
    return sum(diff.mean_abs * diff.elements for diff in known) / elements if elements else None


def single(report: Report, verdict: Verdict, key: str) -> Entry:
    """The whole step as one figure: the largest of its means in either precision.

    It faces a published figure where the step has but one, or the same under all its keys.
    """
    published = set(figures(report, verdict.number).values())
    pairs = list(verdict.means.values())
    return Entry(
        key,
        _largest(pair[0] for pair in pairs),
        _largest(pair[1] for pair in pairs),
        published.pop() if len(published) == 1 else "",
        verdict.outcome,
    )


def unmeasured(verdict: Verdict) -> list[Finding]:
    """Findings without a distance that no mean stands for: missing names, other shapes."""
    return [
        f
        for f in verdict.findings
        if f.diff is None
        and f.outcome is not Outcome.ALIGNED
        and not verdict.means.keys() & _keys(f.name)
    ]


def _key(
    name: str, number: int, published: Mapping[str, str], aliases: Mapping[str, str]
) -> tuple[str, str]:
    """(the record's key, the key of its published figure) for a name of ours."""
    for key in (name, aliases.get(name, name)):
        if key in published:
            return key, key
    prefix = _PREFIX.match(name) if number in _PREFIXED else None
    if prefix is None:
        return aliases.get(name, name), ""
    start, rest = prefix.group(), name[prefix.end() :]
    for key in (rest, aliases.get(rest, rest)):
        if key in published:
            return start + key, key
    return name, ""


def _keys(name: str) -> set[str]:
    """The names under which a step may give the mean of this finding."""
    path = _DTYPE.sub("", name, count=1).removesuffix(judge.AT_PADDING)
    return {path.replace("/", "_"), path.rpartition("/")[2]}


def _outcomes(findings: Iterable[Finding]) -> dict[str, list[Outcome]]:
    outcomes: dict[str, list[Outcome]] = {}
    for finding in findings:
        for key in _keys(finding.name):
            outcomes.setdefault(key, []).append(finding.outcome)
    return outcomes


def _outcome(verdict: Verdict, outcomes: Iterable[Outcome]) -> Outcome:
    """A name's own outcome; in an inconclusive step nothing stands, so no name is aligned."""
    own = set(outcomes)
    if Outcome.DIVERGED in own:
        return Outcome.DIVERGED
    if Outcome.INCONCLUSIVE in own or verdict.outcome is Outcome.INCONCLUSIVE:
        return Outcome.INCONCLUSIVE
    return Outcome.ALIGNED if own else verdict.outcome


@dataclass(frozen=True)
class Group:
    """Findings of one kind: how many, how far apart on average, how near to the limit."""

    name: str
    compared: int
    off: int
    float32: float | None
    float64: float | None
    ratio: float


def groups(verdict: Verdict, *, facts: str, parameters: str) -> list[Group]:
    """The findings by what they are about, without their counters, precisions and last names.

    `facts` and `parameters` name what has no path: settings, and arrays compared by their name.
    """
    sorted_in: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        path = _DTYPE.sub("", finding.name, count=1)
        parts = [part for part in path.split("/")[:-1] if not _COUNTER.fullmatch(part)]
        plain = facts if finding.diff is None else parameters
        sorted_in.setdefault("/".join(parts) or plain, []).append(finding)
    return [_group(name, findings) for name, findings in sorted_in.items()]


def _group(name: str, findings: list[Finding]) -> Group:
    means: dict[bool, list[float]] = {True: [], False: []}
    for finding in findings:
        if finding.diff is not None:
            means[finding.name.startswith("float64/")].append(finding.diff.mean_abs)
    return Group(
        name,
        len(findings),
        sum(f.outcome is not Outcome.ALIGNED for f in findings),
        _largest(means[False]),
        _largest(means[True]),
        max(map(distance, findings)),
    )


def _largest(values: Iterable[float | None]) -> float | None:
    """The largest that is there; NaN where one is."""
    known = [value for value in values if value is not None]
    if any(math.isnan(value) for value in known):
        return math.nan
    return max(known, default=None)
