"""Step 2: the port reads, tokenizes and batches the evaluation data as the reference does."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diagnose import Hint, arrays, batches
from modelparity.model import Finding, Outcome, Verdict
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence, elements
from modelparity.steps.recorder import Recorder
from modelparity.steps.vocabulary import (
    Vocabulary,
    both_vocabularies,
    judge_vocabularies,
    why_places,
    why_words,
    with_words,
)

NUMBER, NAME, TITLE = 2, "evaluation_data", "evaluation data"
CLAIM = "every batch of every evaluation split, all fields, the last partial batch too"


def record(recorder: Recorder) -> None:
    """Record every batch of every evaluation split."""
    for split in recorder.case.splits:
        batches = recorder.call("evaluation_batches", recorder.settings, split)
        count = 0
        for number, batch in enumerate(batches):
            for field, array in batch.items():
                recorder.writer.add(f"{split}/{number}/{field}", np.asarray(array))
            count = number + 1
        recorder.writer.facts[f"{split} batches"] = count


def judge_step(evidence: Evidence) -> Verdict:
    """Every element equal."""
    splits: list[str] = evidence.reference.manifest["terms"]["splits"]
    return judge_data(evidence, NUMBER, TITLE, {split: f"{split}/" for split in splits})


def judge_data(evidence: Evidence, number: int, title: str, parts: Mapping[str, str]) -> Verdict:
    """Every recorded batch, field by field, element by element.

    parts  what must not be empty -> how the names of its arrays begin
    """
    ours, theirs = evidence.reference, evidence.candidate
    known, both = set(theirs.names), both_vocabularies(evidence)
    vocabulary = judge_vocabularies(both)
    findings: list[Finding] = []
    means: dict[str, tuple[float | None, float | None]] = {}
    for name in ours.names:
        if name not in known:
            findings.append(judge.missing(name, "candidate"))
            continue
        found = judge.exact(name, candidate=theirs.array(name), reference=ours.array(name))
        findings.append(with_words(found, both))
        means[name.replace("/", "_")] = (found.diff.mean_abs if found.diff else None, None)
    findings += [judge.missing(n, "reference") for n in theirs.names if n not in set(ours.names)]
    findings += vocabulary
    findings += judge.facts("", candidate=theirs.facts, reference=ours.facts, what="split")
    findings += [
        judge.inconclusive(part, "there is nothing to compare in it")
        for part, start in parts.items()
        if not ours.below(start)
    ]
    blame = sorted((f for f in findings if f.outcome is Outcome.DIVERGED), key=_in_order)
    counts: Mapping[str, int] = {key: int(value) for key, value in ours.facts.items()}
    return judge.conclude(
        number,
        title,
        findings if ours.names or theirs.names else [],
        blame=blame,
        coverage={**counts, "arrays": len(ours.names), "elements": elements(ours, ours.names)},
        means=means,
        why=partial(_why, evidence, parts, [f for f in vocabulary if f.message], both[0]),
    )


def _why(
    evidence: Evidence,
    parts: Mapping[str, str],
    vocabulary: list[Finding],
    words: Vocabulary,
    finding: Finding,
) -> Iterator[Hint]:
    """What happened to the rows of the part that a finding is about."""
    part = next((p for p in parts if finding.name.startswith((parts[p], f"{p} "))), None)
    if part is None:
        return
    start = parts[part]
    theirs, ours = (
        batches.rows(_batches(side, start)) for side in (evidence.candidate, evidence.reference)
    )
    yield from (Hint(f"the {f.name} differs: {f.message}") for f in vocabulary)
    if not theirs or not ours:
        return
    found = list(batches.explain(theirs, ours))
    found += _elsewhere(evidence, theirs, [p for p in parts.values() if p != start])
    c_batches, r_batches = (_batches(s, start) for s in (evidence.candidate, evidence.reference))
    found += why_places(words, c_batches, r_batches, finding.name.rpartition("/")[2])
    if finding.compared is not None:
        c, r = finding.compared
        found += [hint for hint in arrays.explain(candidate=c, reference=r) if hint.before]
    found += why_words(words, theirs, ours)
    found += batches.sorted_otherwise(theirs, ours)
    yield from found or batches.counted(theirs, ours)


def _elsewhere(evidence: Evidence, theirs: batches.Rows, others: list[str]) -> Iterator[Hint]:
    """Another part in whose place the candidate's rows stand: an epoch, a split."""
    for other in others:
        sides = ("candidate", evidence.candidate), ("reference", evidence.reference)
        for label, side in sides:
            again = batches.rows(_batches(side, other))
            if again and again.keys == theirs.keys:
                yield Hint(f"the candidate's order is the same as that of {other} ({label})")
                return


def _batches(side: Recording, start: str) -> list[dict[str, np.ndarray[Any, Any]]]:
    found: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for name in side.below(start):
        number, _, field = name.partition("/")
        found.setdefault(number, {})[field] = side.array(start + name)
    return [found[number] for number in sorted(found, key=int)]


def _in_order(finding: Finding) -> tuple[bool, str, int]:
    split, _, rest = finding.name.partition("/")
    number = rest.partition("/")[0]
    return finding.diff is None, split, int(number) if number.isdigit() else 0
