"""Mistakes that can be told from two arrays alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from modelparity.diagnose import Hint, Hypothesis, closing

Array = np.ndarray[Any, Any]
Counts = Mapping[str, float]  # numbers of things that a mean may be taken over, by their names

SHIFTS = (1, -1, 2, -2)
RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5)  # usual dropout rates
FORMATS: tuple[tuple[str, Any], ...] = (("float16", np.float16), ("float32", np.float32))
LARGEST = 1 << 24  # elements; more are not searched
SAID = 2  # causes of a ratio
FEW = 4  # slices that are worth naming one by one


def explain(
    *, candidate: Array, reference: Array, counts: Counts | None = None, dropout: bool = True
) -> Iterator[Hint]:
    """What closes the gap between two arrays, the simplest first; nothing where nothing does.

    counts  what a sum may have been divided by, for values that are a single number; dropout
    whether the values may have passed a dropout, whose scaling is a cause then.
    Arrays of unequal shapes, without numbers, empty or not finite have no explanation here.
    """
    c, r = candidate, reference
    if c.shape != r.shape or not 0 < r.size <= LARGEST or {c.dtype.kind, r.dtype.kind} & set("OSU"):
        return
    c, r = c.astype(np.float64), r.astype(np.float64)
    if not (np.isfinite(c).all() and np.isfinite(r).all()) or np.array_equal(c, r):
        return
    known = Known(counts or {}, RATES if dropout else ())
    whole = list(closing(c, r, _hypotheses(c, r, known)))
    yield from whole
    part = None if whole else _part(c, r)
    if part is None:
        return
    where, inside = part
    yield Hint(where)
    for hint in closing(c[inside], r[inside], _hypotheses(c[inside], r[inside], known)):
        yield Hint(f"there {hint.text}", hint.before, hint.after)


@dataclass(frozen=True)
class Known:
    """What ratios may come from: numbers of things, and rates of dropout."""

    counts: Counts
    rates: tuple[float, ...] = RATES


def _hypotheses(c: Array, r: Array, known: Known) -> Iterator[Hypothesis]:
    if not c.any():
        yield "the candidate is zero everywhere", np.zeros_like(r)
        return
    yield "the sign is reversed", -r
    if r.size == 1:
        yield from _ratios(c, r, known)
        return
    yield from _layouts(c, r)
    yield from _shifts(c, r)
    yield from _factors(c, r, known)
    yield f"{float(np.mean(c - r)):.6g} is added everywhere", r + float(np.mean(c - r))
    yield from _lost(c, r)
    yield from _renumbered(c, r)
    yield from _narrowed(c, r)


def _layouts(c: Array, r: Array) -> Iterator[Hypothesis]:
    for first in range(c.ndim):
        for second in range(first + 1, c.ndim):
            if c.shape[first] == c.shape[second] > 1:
                text = "it is transposed" if c.ndim == 2 else f"axes {first}, {second} are swapped"
                yield text, np.swapaxes(r, first, second)
    for axis in range(c.ndim):
        order = _permutation(c, r, axis)
        if order is not None:
            yield _order(order, axis, c.ndim), np.take(r, order, axis)
    if c.ndim > 1 and len(set(c.shape)) > 1:
        yield "it is laid out in the other order", r.reshape(-1, order="F").reshape(r.shape)


def _permutation(c: Array, r: Array, axis: int) -> Array | None:
    """The order of the reference's slices along an axis that gives the candidate's, if any."""
    count = c.shape[axis]
    if count < 2:
        return None
    ours, theirs = (np.moveaxis(a, axis, 0).reshape(count, -1) for a in (r, c))
    # A random projection tells slices apart; whether they are equal is seen when it is tried.
    weights = np.random.default_rng(0).standard_normal(ours.shape[1])
    order: Array = np.empty(count, np.int64)
    order[np.argsort(theirs @ weights, kind="stable")] = np.argsort(ours @ weights, kind="stable")
    return None if np.array_equal(order, np.arange(count)) else order


def _order(order: Array, axis: int, ndim: int) -> str:
    place = "elements" if ndim == 1 else f"slices of axis {axis}"
    what = "rows" if ndim > 1 and axis == 0 else place
    moved = np.flatnonzero(order != np.arange(order.size))
    if np.array_equal(order, np.arange(order.size)[::-1]):
        return f"the {what} are in reverse order"
    if moved.size == 2:
        return f"{what} {moved[0]} and {moved[1]} are exchanged"
    starts = np.flatnonzero(np.diff(order, prepend=order[0] - 2) != 1)
    sizes = set(np.diff([*starts, order.size]).tolist())
    if 2 <= starts.size <= order.size // 2 and len(sizes) == 1:
        return f"the {what} are permuted in {starts.size} blocks of {sizes.pop()}"
    return f"{moved.size} of {order.size} {what} are permuted"


def _shifts(c: Array, r: Array) -> Iterator[Hypothesis]:
    for axis in range(c.ndim):
        for shift in SHIFTS:
            if c.shape[axis] <= 2 * abs(shift) + 1:
                continue
            here: list[slice] = [slice(None)] * c.ndim
            there: list[slice] = [slice(None)] * c.ndim
            here[axis] = slice(shift, None) if shift > 0 else slice(None, shift)
            there[axis] = slice(None, -shift) if shift > 0 else slice(-shift, None)
            predicted = np.full(c.shape, np.nan)  # what was shifted in cannot be judged
            predicted[tuple(here)] = r[tuple(there)]
            way = "late" if shift > 0 else "early"
            along = f" along axis {axis}" if c.ndim > 1 else ""
            yield f"it comes {abs(shift)} too {way}{along}", predicted


def _factors(c: Array, r: Array, known: Known) -> Iterator[Hypothesis]:
    scale = float(np.vdot(r, r))
    factor = float(np.vdot(c, r)) / scale if scale else 0.0
    if factor not in (0.0, 1.0, -1.0):
        cause = cause_of(factor, known, r.shape)
        yield (
            f"it is {factor:.9g} times the reference" + (f" ({cause})" if cause else ""),
            factor * r,
        )


def _ratios(c: Array, r: Array, known: Known) -> Iterator[Hypothesis]:
    """Of a single number any ratio explains everything, so that only a known one says anything."""
    if not r.any():
        return
    factor = float(c.flat[0] / r.flat[0])
    cause = "; or ".join(_met(factor, known, ()))
    if cause:
        yield f"it is {factor:.9g} times the reference ({cause})", factor * r


def cause_of(factor: float, known: Known, shape: tuple[int, ...] = ()) -> str:
    """What commonly makes such a ratio; "" where nothing is known to."""
    found = _met(factor, known, shape)
    if not found:
        simple = Fraction(abs(factor)).limit_denominator(16)
        found = [f"that is {simple}"] if simple and _is(abs(factor), float(simple)) else []
    return "; or ".join(found)


def _met(factor: float, known: Known, shape: tuple[int, ...]) -> list[str]:
    met = (text for text, value in _causes(known, shape) if _is(abs(factor), value))
    return list(islice(met, SAID))


def _causes(known: Known, shape: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    """(a cause in words, the ratio that it makes)."""
    named = [(f"{n:g} {what}", n) for what, n in known.counts.items() if n > 0]
    for text, many in named:
        for other, few in named:
            if few != many:
                yield f"divided by the {text} in place of the {other}", few / many
    for rate in known.rates:
        yield f"1 - p for p = {rate}: dropout's scaling", 1.0 - rate
        yield f"1/(1 - p) for p = {rate}: dropout's scaling", 1.0 / (1.0 - rate)
    sizes = dict.fromkeys(s for s in (*shape, int(np.prod(shape))) if s > 1)
    for text, count in [(f"{size}", size) for size in sizes] + named:
        yield f"a sum over {text} in place of their mean", count
        yield f"a mean over {text} in place of their sum", 1.0 / count
        yield f"not divided by sqrt({text})", count**0.5
        yield f"divided by sqrt({text})", count**-0.5
        if count > 1:
            yield f"n - 1 in place of n = {text}", count / (count - 1.0)
            yield f"n in place of n - 1, n = {text}", (count - 1.0) / count


def _is(value: float, expected: float) -> bool:
    return bool(np.isclose(value, expected, rtol=1e-6, atol=0.0))


def _lost(c: Array, r: Array) -> Iterator[Hypothesis]:
    zeros = (c == 0.0) & (r != 0.0)
    share = np.count_nonzero(zeros) / c.size
    if not 0.0 < share < 1.0:
        return
    yield f"{share:.1%} of the elements are zero", np.where(zeros, 0.0, r)
    kept = ~zeros & (r != 0.0)
    factor = float(np.median(c[kept] / r[kept])) if kept.any() else 1.0
    if np.isclose(factor, 1.0, rtol=1e-9):
        return
    text = f"dropout is active: {share:.1%} of the elements are zero, the others {factor:.6g} times"
    yield text, np.where(zeros, 0.0, factor * r)


def _renumbered(c: Array, r: Array) -> Iterator[Hypothesis]:
    """Whole numbers, each replaced by another one throughout."""
    values, places = np.unique(r, return_inverse=True)
    if not 2 <= values.size <= r.size // 2 or not np.array_equal(r, np.round(r)):
        return
    first = np.unique(places, return_index=True)[1]
    becomes = c.reshape(-1)[first]
    moved = [f"{v:g} as {b:g}" for v, b in zip(values, becomes, strict=True) if v != b]
    several = f"{', '.join(moved[:3])}{' and others' if len(moved) > 3 else ''}"
    what = "are renumbered" if np.unique(becomes).size == values.size else "fall together"
    yield f"values {what}: {several}", becomes[places].reshape(r.shape)


def _narrowed(c: Array, r: Array) -> Iterator[Hypothesis]:
    yield f"values are cut to {c.min():.6g} ... {c.max():.6g}", np.clip(r, c.min(), c.max())
    for name, dtype in FORMATS:
        with np.errstate(over="ignore"):
            yield f"the values went through {name}", r.astype(dtype).astype(np.float64)
    halved = r.astype(np.float32).view(np.uint32)
    rounded = (halved + 0x7FFF + ((halved >> 16) & 1)) & np.uint32(0xFFFF0000)
    yield "the values went through bfloat16", rounded.view(np.float32).astype(np.float64)


def _part(c: Array, r: Array) -> tuple[str, tuple[Any, ...]] | None:
    """The few slices of an axis outside which nothing differs: in words, and as an index."""
    gap = np.abs(c - r)
    differs = gap > 1e-6 * gap.max()
    best: tuple[float, str, tuple[Any, ...]] | None = None
    for axis in range(c.ndim):
        count = c.shape[axis]
        hit = np.flatnonzero(differs.any(axis=tuple(a for a in range(c.ndim) if a != axis)))
        if hit.size <= FEW and hit.size <= count // 2 and (not best or hit.size / count < best[0]):
            one = hit.size == 1
            listed = ", ".join(f"{i} (the last)" if i == count - 1 else str(i) for i in hit)
            text = f"only {'index' if one else 'indices'} {listed} of {count}"
            text += f" along axis {axis}" if c.ndim > 1 else ""
            text += " differs" if one else " differ"
            best = hit.size / count, text, (slice(None),) * axis + (hit,)
    return best[1:] if best else None
