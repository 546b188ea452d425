"""Step 2: the port reads, tokenizes and batches the evaluation data as the reference does."""

from collections.abc import Mapping

import numpy as np

from modelparity import judge
from modelparity.model import Finding, Outcome, Verdict
from modelparity.steps.evidence import Evidence, elements
from modelparity.steps.recorder import Recorder

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
    known = set(theirs.names)
    findings: list[Finding] = []
    means: dict[str, tuple[float | None, float | None]] = {}
    for name in ours.names:
        if name not in known:
            findings.append(judge.missing(name, "candidate"))
            continue
        found = judge.exact(name, candidate=theirs.array(name), reference=ours.array(name))
        findings.append(found)
        means[name.replace("/", "_")] = (found.diff.mean_abs if found.diff else None, None)
    findings += [judge.missing(n, "reference") for n in theirs.names if n not in set(ours.names)]
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
    )


def _in_order(finding: Finding) -> tuple[bool, str, int]:
    split, _, rest = finding.name.partition("/")
    number = rest.partition("/")[0]
    return finding.diff is None, split, int(number) if number.isdigit() else 0
