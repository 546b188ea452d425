"""Mistakes in a learning rate's shape: the reference's is found among the usual, then varied."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis

Array = np.ndarray[Any, Any]

SHAPES = ("linear", "constant", "cosine", "square root", "quadratic", "exponential")
REPRODUCES = 1e-12  # of the peak


@dataclass(frozen=True)
class Schedule:
    """A warm-up from `first` to `peak`, then a shape that ends at update `total`."""

    peak: float
    warmup: int
    total: int
    shape: str = "linear"
    first: float = 0.0
    clamped: bool = True
    offset: int = 0

    def rates(self, count: int) -> Array:
        """The rate of updates 0 to count - 1."""
        steps = np.arange(count, dtype=np.float64) + self.offset
        rising = steps / max(1, self.warmup)
        left = (self.total - steps) / max(1, self.total - self.warmup)
        if self.clamped:
            left = np.maximum(left, 0.0)
        falling = self._falling(steps, left)
        shape = np.where(steps < self.warmup, self.first + (1.0 - self.first) * rising, falling)
        rates: Array = self.peak * shape
        return rates

    def _falling(self, steps: Array, left: Array) -> Array:
        """The part behind the warm-up, of which the share `left` is to come."""
        if self.shape == "constant":
            return np.ones_like(left)
        if self.shape == "cosine":
            return 0.5 * (1.0 + np.cos(math.pi * (1.0 - left)))
        if self.shape == "square root":
            return np.sqrt(max(1, self.warmup) / np.maximum(steps, 1.0))
        if self.shape == "quadratic":
            return np.square(left)
        return np.exp(left - 1.0) if self.shape == "exponential" else left


def hypotheses(candidate: Array, reference: Array, beyond: int) -> Iterator[Hypothesis]:
    """The rates (n,) of another schedule, the last `beyond` of them behind the last update.

    Nothing where no usual shape reproduces the reference.
    """
    count = reference.size
    right = _found(reference, count - beyond)
    if right is None or count < 2:
        return
    for text, other in _changed(right, candidate, beyond):
        yield text, other.rates(count)
    yield from _bent(right, candidate)
    shown = reference.copy()
    shown[max(0, count - beyond) :] = candidate[max(0, count - beyond) :]
    yield "only the rates behind the last update differ", shown


def _bent(right: Schedule, candidate: Array) -> Iterator[Hypothesis]:
    """Rates of the right schedule, bent: a floor, stairs, restarts, another warm-up."""
    steps = np.arange(candidate.size)
    rates, peak, warmup = right.rates(candidate.size), right.peak, right.warmup
    floor = float(candidate[-1])
    if peak and 0.0 < floor < peak:
        text = f"it ends at {floor / peak:.3g} of the peak, not at {rates[-1] / peak:.3g}"
        behind = steps >= warmup
        yield f"{text}, and never falls below", np.where(behind, np.maximum(rates, floor), rates)
        yield text, np.where(behind, floor + (1.0 - floor / peak) * rates, rates)
    changes = np.flatnonzero(np.diff(candidate)) + 1
    held = int(np.gcd.reduce(changes)) if changes.size else 0
    if held > 1:
        yield f"it changes only every {held} updates, as once an epoch", rates[steps // held * held]
    rises = np.flatnonzero(np.diff(candidate[warmup:]) > 0.0) + 1
    if rises.size:
        period = int(rises[0])
        again = replace(right, total=warmup + period).rates(candidate.size)
        inside = (steps >= warmup) & (steps < right.total)
        text = f"behind the warm-up it starts again after every {period} updates"
        yield text, np.where(inside, again[warmup + (steps - warmup) % period], rates)
    shares = (rates / peak if peak else rates).astype(np.float32).astype(np.float64)
    yield "its share of the peak went through float32", peak * shares
    yield from _risen(right, rates)


def _risen(right: Schedule, rates: Array) -> Iterator[Hypothesis]:
    """Another warm-up, the rest as it is."""
    done = np.arange(rates.size) / max(1, right.warmup)
    rising = done < 1.0
    late = (np.arange(rates.size) + 1.0) / max(1, right.warmup)
    shapes = {
        "one update early": late,
        "one update early, up to one more": late * right.warmup / (right.warmup + 1.0),
        "quadratic": done**2,
        "a square root": np.sqrt(done),
        "a cosine": 0.5 - 0.5 * np.cos(math.pi * done),
        "at its peak": np.ones_like(done),
    }
    for text, shape in shapes.items() if right.warmup else ():
        yield f"only the warm-up differs: it is {text}", np.where(rising, right.peak * shape, rates)


def _found(reference: Array, total: int) -> Schedule | None:
    peak = float(reference.max())
    top = int(np.argmax(reference))
    for shape in SHAPES:
        for warmup in dict.fromkeys((top, 0)):
            right = Schedule(peak, warmup, total, shape)
            if np.abs(right.rates(reference.size) - reference).max() <= REPRODUCES * peak:
                return right
    return None


def _changed(right: Schedule, candidate: Array, beyond: int) -> Iterator[tuple[str, Schedule]]:
    total, warmup = right.total, right.warmup
    for offset in (1, -1):
        way = "early" if offset > 0 else "late"
        yield f"every rate comes one update too {way}", replace(right, offset=offset)
    yield (
        "every rate comes one update too early, warm-up counted from 1",
        replace(right, offset=1, total=total + 1),
    )
    if warmup:
        yield f"the {warmup} updates of warm-up are ignored", replace(right, warmup=0)
        yield (
            "the rate falls from the start, during the warm-up too",
            replace(right, warmup=0, first=1.0),
        )
        yield f"the {warmup} updates of warm-up come on top", replace(right, total=total + warmup)
        for other in (warmup - 1, warmup + 1, 2 * warmup, warmup // 2):
            yield f"{other} updates of warm-up in place of {warmup}", replace(right, warmup=other)
        top = int(np.argmax(candidate))
        if top and top != warmup:
            yield f"{top} updates of warm-up in place of {warmup}", replace(right, warmup=top)
        yield "the warm-up starts at a tenth of the peak", replace(right, first=0.1)
    for end in (total - 1, total + 1, total - 2, total + beyond):
        yield f"the end is at update {end} in place of {total}", replace(right, total=end)
    yield "behind the end the rate falls on below zero", replace(right, clamped=False)
    for shape in SHAPES:
        if shape != right.shape:
            yield f"its shape is {shape}, not {right.shape}", replace(right, shape=shape)
            if warmup:
                text = f"its shape is {shape}, not {right.shape}, without warm-up"
                yield text, replace(right, shape=shape, warmup=0)
    peak = float(np.abs(candidate).max())
    if right.peak and peak != right.peak:
        yield f"the peak is {peak:.6g} in place of {right.peak:.6g}", replace(right, peak=peak)
