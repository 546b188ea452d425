"""Mistakes in clipping: what other norms and limits would leave of one gradient."""

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
    candidate: Array,
) -> Iterator[Hypothesis]:
    """One gradient behind another way of clipping; `given` are all gradients before it.

    groups  parameter -> whatever tells the optimizer's groups apart
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
        times = float(np.vdot(candidate, gradient)) / power if power else 1.0
        text = f"gradients are scaled to a norm of {times * total:.3g} though theirs, {total:.3g},"
        yield f"{text} is below the limit", times * gradient
        return
    limit = factor * (total + TORCH_CLIP_EPS)
    yield "gradients are not clipped", gradient
    for text, share in _shares(name, norms, groups, limit):
        yield text, gradient * share
    magnitudes = sum(float(np.abs(g, dtype=np.float64).sum()) for g in given.values())
    largest = max((float(np.abs(g).max()) for g in given.values() if g.size), default=0.0)
    for text, other in (
        ("the sum of all magnitudes is the norm (L1)", magnitudes),
        ("the largest element is the norm", largest),
    ):
        yield text, gradient * _share(limit, other)
        yield f"{text}, and 1e-6 is added to it", gradient * _share(limit, other + TORCH_CLIP_EPS)
    yield f"every element is cut to {limit:.3g}", sketch(np.clip(raw, -limit, limit))


def _shares(
    name: str, norms: Mapping[str, float], groups: Mapping[str, object], limit: float
) -> Iterator[tuple[str, float]]:
    """(a mistake in words, the share of the gradient that it leaves)."""
    own, total = norms[name], _joint(norms.values())
    eps, without = TORCH_CLIP_EPS, "without PyTorch's 1e-6"
    text = "every gradient is clipped by its own norm"
    yield text, _share(limit, own + eps)
    yield f"{text}, {without}", _share(limit, own)
    twice = _joint(min(norm, limit) for norm in norms.values())
    first = _share(limit, own)
    yield f"{text} first, then all by theirs", first * _share(limit, twice + eps)
    yield f"the norm is taken {without}", limit / total
    yield "1e-6 is added to the norm", limit / (total + 2.0 * eps)
    group = [n for n in norms if groups.get(n) == groups.get(name)]
    part = name.partition(".")[0]
    for text, members in (
        (f"the {len(group)} gradients of a group are clipped by their norm", group),
        (
            f"the gradients of {part} are clipped by their own norm",
            [n for n in norms if n.partition(".")[0] == part],
        ),
    ):
        joint = _joint(norms[n] for n in members)
        if 0 < len(members) < len(norms):
            yield f"{text}, not by that of all", _share(limit, joint + eps)
            yield f"{text}, not by that of all, {without}", _share(limit, joint)
    for other in (0.1, 0.5, 2.0, 5.0, 10.0):
        text = f"the limit is {limit * other:.3g} in place of {limit:.3g}"
        yield text, _share(other * limit, total + eps)


def _share(limit: float, norm: float) -> float:
    return min(1.0, limit / norm) if norm else 1.0


def _joint(norms: Iterable[float]) -> float:
    return float(np.sqrt(sum(norm**2 for norm in norms)))
