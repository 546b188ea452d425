"""A training replayed in little: what a rule makes of recorded gradients, and what clipping leaves.

A side's own gradients and rates go in, so that a mistake is told from what follows of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis
from modelparity.diagnose.optimizers import REPRODUCES, Adam, adam, variants
from modelparity.diff import rms

Array = np.ndarray[Any, Any]

DECAY = 0.01  # that a side may have where the other has none


@dataclass(frozen=True)
class Replay:
    """Elements of all parameters on their way through n updates.

    owners (k,) name each element's parameter, decay (k,) is what the reference decays it by;
    start (k,); gradients (n, k) as they reach the rule; rates (n, k); parameters (n, k) behind it
    """

    owners: tuple[str, ...]
    decay: Array
    start: Array
    gradients: Array
    rates: Array
    parameters: Array

    def left(self, how: Adam, updates: int) -> Array:
        """What the first updates leave, (k,). The rate of `how` is a factor."""
        rated = replace(how, rates=tuple(self.rates[:updates]))
        return adam(self.start, self.gradients[:updates], rated).parameter

    def under(self, right: Adam, updates: int) -> Array:
        """The same under the right rule, its rates and decays as recorded."""
        return self.left(replace(right, rate=1.0, decay=self.decay), updates)


def reproduces(replay: Replay, right: Adam, updates: int) -> bool:
    """Whether a rule makes of the gradients what was recorded."""
    reached = replay.parameters[updates - 1]
    gap = rms(replay.under(right, updates) - reached)
    return bool(gap <= REPRODUCES * rms(reached - replay.start))


def rules(replay: Replay, right: Adam, updates: int) -> Iterator[Hypothesis]:
    """What the updates would leave under other rules than the right one."""
    plain = replace(right, rate=1.0, decay=0.0)
    for text, how in variants(plain):
        if "decay" not in text:
            yield text, replay.left(replace(how, decay=replay.decay), updates)
    for text, how in _decays(replay, plain):
        yield text, replay.left(how, updates)
    yield from _begun_again(replay, replace(plain, decay=replay.decay), updates - 1)


def _begun_again(replay: Replay, right: Adam, last: int) -> Iterator[Hypothesis]:
    """The last update without the moments or the count of those before it."""
    if not last:
        return
    here, gradients = replay.parameters[last - 1], replay.gradients[last:][:1]
    rated = replace(right, rates=tuple(replay.rates[: last + 1]))
    held = adam(replay.start, replay.gradients[:last], rated)
    rest = replace(right, rates=tuple(replay.rates[last:]))
    for text, left in (
        ("starts without moments and count, as with a new optimizer", adam(here, gradients, rest)),
        ("starts without moments, and counts on", adam(here, gradients, rated, done=last)),
        (
            "counts from the first again, and keeps its moments",
            adam(here, gradients, rest, before=held),
        ),
    ):
        yield f"update {last} {text}", left.parameter
    for text, how in variants(replace(right, decay=0.0)):
        if "decay" not in text and how.rule != "trust":
            later = replace(how, decay=right.decay, rates=rated.rates)
            left = adam(here, gradients, later, before=held, done=last)
            yield f"from update {last} on {text}", left.parameter


def _decays(replay: Replay, plain: Adam) -> Iterator[tuple[str, Adam]]:
    own = replay.decay
    decay = float(own.max(initial=0.0)) or DECAY
    if own.any():
        yield "nothing decays", plain
        coupled = replace(plain, decay=own, coupled=True)
        yield "the decay is added to the gradient (coupled, as L2 regularisation)", coupled
        late = replace(plain, decay=own, late=True)
        yield "what was updated decays, not what was there before", late
        with np.errstate(divide="ignore", invalid="ignore"):
            unscaled = own / replay.rates[0]
        if np.isfinite(unscaled).all() and not np.ptp(replay.rates, axis=0).any():
            yield "the decay is not multiplied with the rate", replace(plain, decay=unscaled)
        for factor in (0.1, 0.5, 2.0, 10.0):
            yield f"the decay is {factor:g} times as large", replace(plain, decay=factor * own)
    parts = [owner.split(".") for owner in replay.owners]
    for count in (1, 2):
        ends = [".".join(part[-count:]) for part in parts]
        for end in dict.fromkeys(e for e, d in zip(ends, own, strict=True) if not d):
            more = np.where([e == end for e in ends], decay, own)
            yield f"parameters that end in {end} decay by {decay:g}", replace(plain, decay=more)
    yield f"every parameter decays by {decay:g}", replace(plain, decay=np.full_like(own, decay))


def decayed_gradient(c: Array, r: Array, parameter: Array) -> float | None:
    """The coefficient of the parameters in what reaches the rule; None where they are not in it.

    c, r  gradients behind all clipping (k,), the candidate's and the reference's
    """
    if not rms(parameter):
        return None
    found = np.linalg.lstsq(np.stack([r, parameter], axis=1), c, rcond=None)[0]
    left = rms(c - found[0] * r - found[1] * parameter)
    explained = left <= REPRODUCES * rms(c - found[0] * r)
    return float(found[1] / found[0]) if explained and found[0] else None
