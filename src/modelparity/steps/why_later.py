"""What a training does wrong behind the update that parts it, told from what it was given itself.

There neither loss nor gradients are the reference's any more; what clipping and rule make of the
candidate's own gradients can still be judged, and where dropout acts.
"""

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from modelparity.diagnose import closing, replay
from modelparity.diagnose.clipping import REPRODUCES, TORCH_CLIP_EPS
from modelparity.model import Finding, Outcome
from modelparity.recording import Recording
from modelparity.steps.evidence import Evidence
from modelparity.steps.recorder import Array
from modelparity.steps.why_training import first_apart, in_words, replayed, start_of, traced
from modelparity.steps.why_updates import rule_of

NOTHING = np.inf  # the share of a gradient that is zero

Wrong = tuple[int, str, Finding]  # the update and the part of it that is wrong of itself


def wrong_later(evidence: Evidence) -> list[Finding]:
    """A finding for each part of an update that is wrong of itself, but for the first that parts.

    Nothing is said of a part in which the reference itself is not as expected.
    """
    first = first_apart(evidence)
    if first is None:
        return []
    parts = (_dropout, _clipping, _rule)
    return [
        finding
        for part in parts
        for update, kind, finding in part(evidence)
        if (update, kind) != first and update >= first[0]
    ]


def _dropout(evidence: Evidence) -> Iterator[Wrong]:
    c, r = (
        np.array(side.facts.get("active sites", ()))
        for side in (evidence.candidate, evidence.reference)
    )
    if c.shape == r.shape and (c != r).any():
        update = int(np.argmax(c != r))
        text = f"dropout acts {c[update]} times, {r[update]} times on the reference"
        yield update, "loss", _finding("dropout", update, text)


def _clipping(evidence: Evidence) -> Iterator[Wrong]:
    """The share that is left of each gradient, by the limit that the reference shows."""
    behind = set(traced(evidence, "reached"))
    names = [name for name in traced(evidence, "norm") if name in behind]
    if not names:
        return
    (c, c_norm), (r, r_norm) = (
        _shares(side, names) for side in (evidence.candidate, evidence.reference)
    )
    left = r.min(axis=1)
    clipped = left < 1.0 - REPRODUCES
    if not clipped.any():
        return
    limit = float(np.median((left * (r_norm + TORCH_CLIP_EPS))[clipped]))
    due, own = (np.minimum(1.0, limit / (norm + TORCH_CLIP_EPS)) for norm in (c_norm, r_norm))
    off, unlike = (
        (np.abs(share - right[:, None]) > REPRODUCES * right[:, None]) & (share != NOTHING)
        for share, right in ((c, due), (r, own))
    )
    if off.any() and not unlike.any():
        update = int(np.argmax(off.any(axis=1)))
        worst = int(np.argmax(off[update]))
        share, name = c[update, worst], names[worst]
        text = f"clipping leaves {share:.6g} of the gradient of {name} in update {update}, where "
        text += f"the reference's limit of {limit:.3g} leaves {due[update]:.6g}"
        yield update, "reached", _finding("clipping", update + 1, text)


def _shares(side: Recording, names: list[str]) -> tuple[Array, Array]:
    """What clipping leaves of each gradient in each update, and the norm of all before it."""
    before, after = (
        np.stack([side.array(start_of(kind) + name) for name in names], axis=1)
        for kind in ("norm", "reached")
    )
    shares = np.divide(after, before, out=np.full_like(after, NOTHING), where=before > 0.0)
    return shares, np.sqrt(np.square(before).sum(axis=1))


def _rule(evidence: Evidence) -> Iterator[Wrong]:
    """The parameters behind each update, by the reference's rule and the candidate's gradients."""
    right = rule_of(evidence.reference.facts.get("optimizer", {}), 0.0)
    ours, theirs = (replayed(evidence, side) for side in (evidence.reference, evidence.candidate))
    if ours is None or theirs is None or not np.isfinite(theirs.parameters).all():
        return
    updates = len(theirs.parameters)
    if not replay.reproduces(ours, right, updates):
        return
    counts = range(1, updates + 1)
    update = bisect_left(counts, True, key=lambda n: not replay.reproduces(theirs, right, n))
    if update < updates:
        count = update + 1
        recorded, plain = theirs.parameters[update], theirs.under(right, count)
        hints = in_words(closing(recorded, plain, replay.rules(theirs, right, count)))
        text = f"update {update} makes other parameters of the candidate's own gradients than the "
        text += "reference's rule does"
        found = _finding("rule", count, text, tuple(hint.text for hint in hints))
        yield update, "parameter", found


def _finding(name: str, update: int, text: str, hints: tuple[str, ...] = ()) -> Finding:
    """As a trajectory's: the update is the first whose loss answers to it."""
    message = f"update {update}: {text}"
    return Finding(f"float64/trace/{name}", "trajectory", Outcome.DIVERGED, message, hints, np.inf)
