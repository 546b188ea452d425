"""Mistakes in clipping: what other norms and limits would leave of gradients."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis
from modelparity.diff import norm, rms
from modelparity.sketch import sketch

Array = np.ndarray[Any, Any]

REPRODUCES = 1e-6  # of the gradient
TORCH_CLIP_EPS = 1e-6  # what torch.nn.utils.clip_grad_norm_ adds to the norm


def clipped(
    name: str,
    given: Mapping[str, Array],
    reference: Array,
    groups: Mapping[str, object],
    reached: Mapping[str, Array],
) -> Iterator[Hypothesis]:
    """One gradient behind another way of clipping; `given` are all gradients before it.

    groups   parameter -> whatever tells the optimizer's groups apart
    reached  what the candidate leaves of all gradients, sketched as `reference` is
    """
    raw = given[name].astype(np.float64)
    gradient = sketch(raw)
    power = float(np.vdot(gradient, gradient))
    norms = {n: norm(g) for n, g in given.items()}
    total = _joint(norms.values())
    factor = float(np.vdot(reference, gradient)) / power if power else 1.0
    if not rms(reference - factor * gradient) <= REPRODUCES * rms(reference):
        return
    if abs(factor - 1.0) <= REPRODUCES:
        times = float(np.vdot(reached[name], gradient)) / power if power else 1.0
        text = f"gradients are scaled to a norm of {times * total:.3g} though theirs, {total:.3g},"
        yield f"{text} is below the limit", times * gradient
        return
    limit = factor * (total + TORCH_CLIP_EPS)
    cut = _cut(given, reached)
    if cut:
        yield f"every element is cut to {cut:.3g}", sketch(np.clip(raw, -cut, cut))
        yield "this gradient is not clipped, others are", gradient
    else:
        yield "gradients are not clipped", gradient
    place = list(norms).index(name)
    for text, left in _ways(norms, groups, limit):
        yield text, gradient * left[place]
    magnitudes = sum(float(np.abs(g, dtype=np.float64).sum()) for g in given.values())
    for text, other in (
        ("the sum of all magnitudes is the norm (L1)", magnitudes),
        ("the largest element is the norm", max(map(_largest, given.values()))),
    ):
        yield text, gradient * _share(limit, other)
        yield f"{text}, and 1e-6 is added to it", gradient * _share(limit, other + TORCH_CLIP_EPS)
    yield f"every element is cut to {limit:.3g}", sketch(np.clip(raw, -limit, limit))


def _cut(given: Mapping[str, Array], reached: Mapping[str, Array]) -> float:
    """The largest magnitude in gradients where it is less than it was; 0 where there are none.

    Sums of elements, as sketches of large arrays are, tell nothing.
    """
    whole = {n: g for n, g in given.items() if n in reached and reached[n].size == g.size}
    left = {n: _largest(reached[n]) for n, g in whole.items()}
    lower = [e for n, e in left.items() if e < (1.0 - REPRODUCES) * _largest(whole[n])]
    return max(lower, default=0.0)


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0))


def shares(
    norms: Mapping[str, float], factors: Array, groups: Mapping[str, object]
) -> Iterator[Hypothesis]:
    """What other ways of clipping leave of each gradient, as a share, in the order of `norms`.

    norms  of the gradients before the clipping; factors  what the reference leaves of each: where
    it clips all by one norm they are equal, and tell the limit; groups  as above
    """
    factor = float(np.median(factors))
    yield "gradients are not clipped", np.ones_like(factors)
    if np.abs(factors - factor).max() <= REPRODUCES * factor and factor < 1.0:
        yield from _ways(norms, groups, factor * (_joint(norms.values()) + TORCH_CLIP_EPS))


def _ways(
    norms: Mapping[str, float], groups: Mapping[str, object], limit: float
) -> Iterator[Hypothesis]:
    """(a mistake in words, the share that it leaves of each gradient)."""
    own, total = np.array(list(norms.values())), _joint(norms.values())
    eps, without = TORCH_CLIP_EPS, "without PyTorch's 1e-6"
    parts = sorted({name.partition(".")[0] for name in norms})
    for text, keys in (
        ("every gradient is clipped by its own norm", list(norms)),
        (
            "the gradients of a group are clipped by their norm",
            [repr(groups.get(name)) for name in norms],
        ),
        (
            f"the gradients of {', '.join(parts[:3])} are each clipped by their norm",
            [name.partition(".")[0] for name in norms],
        ),
    ):
        found, group = np.unique(keys, return_inverse=True)
        if found.size > 1:
            joint = np.sqrt(np.bincount(group, own**2))[group]
            first = _share(limit, joint + eps)
            yield f"{text}, not by that of all", first
            yield f"{text}, not by that of all, {without}", _share(limit, joint)
            again = _share(limit, _joint(own * first) + eps)
            yield f"{text} first, then all by theirs", first * again
    everywhere = np.ones_like(own)
    yield f"the norm is taken {without}", everywhere * _share(limit, total)
    yield "1e-6 is added to the norm", everywhere * _share(limit, total + 2.0 * eps)
    for other in (0.1, 0.5, 2.0, 5.0, 10.0):
        text = f"the limit is {limit * other:.3g} in place of {limit:.3g}"
        yield text, everywhere * _share(other * limit, total + eps)


def _share(limit: float, norm: Array | float) -> Array:
    """What clipping at `limit` leaves of a gradient of this norm; all of it where it is zero."""
    shared: Array = np.minimum(1.0, limit / np.maximum(norm, np.finfo(np.float64).tiny))
    return shared


def _joint(norms: Iterable[float]) -> float:
    return float(np.sqrt(sum(norm**2 for norm in norms)))
