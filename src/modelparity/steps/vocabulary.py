"""Words for the numbers in batches, where the sides say them: to compare, and to show places."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from modelparity.diagnose import Hint
from modelparity.diagnose.batches import Batch, Rows
from modelparity.model import Finding, Outcome
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence
from modelparity.steps.recorder import Recorder

Vocabulary = dict[str, list[str]]  # field -> the word for each number
Both = tuple[Vocabulary, Vocabulary]  # the candidate's, the reference's

START = "vocabulary/"
BETWEEN = "\0"
SHOWN = 3
FEW = 2  # words at whose places alone a field differs
PIECE = "##"  # begins what goes on a word (WordPiece, Devlin et al., 2019, arXiv 1810.04805)


def record_vocabularies(recorder: Recorder) -> None:
    """Record each field's words, in the order of their numbers, as UTF-8."""
    if "vocabularies" not in recorder.functions:
        return
    for field, words in recorder.call("vocabularies", recorder.settings).items():
        text = BETWEEN.join(words).encode("utf-8", "replace")
        recorder.writer.add(f"{START}{field}", np.frombuffer(text, np.uint8))


def vocabularies(model: Recording) -> Vocabulary:
    """field -> its words, from the recording of a side's model."""
    found = {}
    for field in model.below(START):
        text = model.array(START + field).tobytes().decode("utf-8", "replace")
        found[field] = text.split(BETWEEN)
    return found


def both_vocabularies(evidence: Evidence) -> Both:
    """The candidate's and the reference's."""
    return vocabularies(evidence.candidate_model), vocabularies(evidence.reference_model)


def judge_vocabularies(both: Both) -> list[Finding]:
    """Every word equal, in every field for which both sides give words."""
    theirs, ours = both
    return [_judge(field, theirs[field], ours[field]) for field in ours if field in theirs]


def _judge(field: str, candidate: list[str], reference: list[str]) -> Finding:
    name = f"vocabulary of {field}"
    wrong = [i for i, (c, r) in enumerate(zip(candidate, reference, strict=False)) if c != r]
    if candidate == reference:
        return Finding(name, "exact", Outcome.ALIGNED)
    listed = [f"{i} is {candidate[i]!r}, not {reference[i]!r}" for i in wrong[:SHOWN]]
    count = f"{len(wrong)} of {len(reference)} words differ" if wrong else "the words agree"
    if len(candidate) != len(reference):
        listed.append(f"the candidate has {len(candidate)}, the reference {len(reference)}")
    message = f"{count}: {'; '.join(listed)}"
    return Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)


def with_words(finding: Finding, both: Both) -> Finding:
    """The finding about a field (`.../FIELD`), with the words of the first place that differs."""
    field = finding.name.rpartition("/")[2]
    if finding.compared is None:
        return finding
    candidate, reference = finding.compared
    place = tuple(map(int, np.argwhere(candidate != reference)[0]))
    values = (candidate[place], reference[place])
    said = []
    for vocabulary, value in zip(both, values, strict=True):
        words = vocabulary.get(field, [])
        said.append(f"{words[value]!r}" if 0 <= value < len(words) else str(value))
    where = ", ".join(f"{n} {i}" for n, i in zip(("row", "position"), place, strict=False))
    text = f"first at {where}: {said[0]} against {said[1]}"
    return replace(finding, message=f"{finding.message.partition(';')[0]}; {text}")


def why_words(vocabulary: Vocabulary, candidate: Rows, reference: Rows) -> Iterator[Hint]:
    """The words of which the candidate has more, and those of which it has fewer, most first."""
    for field, words in vocabulary.items():
        if field not in candidate.fields or field not in reference.fields:
            continue
        theirs, ours = (
            Counter(np.concatenate(side.fields[field]).tolist()) for side in (candidate, reference)
        )
        listed = []
        for what, more in (("more", theirs - ours), ("fewer", ours - theirs)):
            shown = [(w, n) for w, n in more.most_common(SHOWN) if 0 <= w < len(words)]
            said = ", ".join(f"{words[w]!r} by {n}" for w, n in shown)
            listed += [f"{what} of {said}"] if said else []
        if listed:
            dropped = "" if theirs - ours else ", and more of no other: they are dropped"
            yield Hint(f"{field} holds {'; '.join(listed)}{dropped}")
            unknown = [
                w for w in theirs - ours if 0 <= w < len(words) and "unk" in words[w].lower()
            ]
            if unknown and field.startswith("input"):
                text = (
                    "more words are unknown: looked up with another letter case, accents or pieces"
                )
                yield Hint(text)


def why_places(
    vocabulary: Vocabulary, candidate: Sequence[Batch], reference: Sequence[Batch], field: str
) -> Iterator[Hint]:
    """The words at whose places alone a field differs, by another field of its shape.

    One or two; or the pieces within words, and not many others.

    candidate, reference  batches of the same rows, field -> (B, T)
    """
    for other, words in vocabulary.items():
        seen: Counter[int] = Counter()
        everywhere: Counter[int] = Counter()
        for c, r in zip(candidate, reference, strict=False):
            shapes = {
                side[name].shape for side in (c, r) for name in (field, other) if name in side
            }
            if other == field or len(shapes) != 1 or not {field, other} <= c.keys() & r.keys():
                break
            seen.update(r[other][c[field] != r[field]].tolist())
            everywhere.update(r[other].reshape(-1).tolist())
        else:
            if 0 < len(seen) <= FEW and all(0 <= w < len(words) for w in seen):
                listed = " and ".join(f"{words[w]!r}" for w in seen)
                counts = f"{seen.total()} of {sum(everywhere[w] for w in seen)}"
                yield Hint(f"{field} differs only where {other} holds {listed}: {counts} places")
            pieces = [w for w in everywhere if 0 <= w < len(words) and words[w].startswith(PIECE)]
            within = sum(seen[w] for w in pieces)
            if within and within == sum(everywhere[w] for w in pieces) >= seen.total() / 2:
                text = f"{field} differs at every piece of {other} that goes on a word"
                yield Hint(f"{text}: {within} of the {seen.total()} places")
