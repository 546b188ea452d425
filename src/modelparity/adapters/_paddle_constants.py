"""Constants that Paddle's kernels keep in float32 even where they compute in float64 (3.3.1).

PyTorch, and Paddle's own float32 runs, take an eps of 1e-5 as it is given; a float64 kernel of
Paddle takes 9.99999974738e-06, which no port can mend and which would accuse every one. Here the
kernels stay as they are, and in float64 their inputs make up for what the constants lose. Constants
that float32 holds, and float32 runs, are passed on untouched.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import paddle

Kernel = Callable[..., Any]


def hold_exactly() -> None:
    """Wrap the kernels, once in a process."""
    for name, wrapper in WRAPPERS.items():
        kernel = getattr(paddle._C_ops, name)
        if not hasattr(kernel, "__wrapped__"):
            setattr(paddle._C_ops, name, wraps(kernel)(wrapper(kernel)))


def _lost(constant: float) -> float:
    """What float32 loses of a constant."""
    return float(constant) - float(np.float32(constant))


def _doubles(tensor: Any) -> bool:
    return tensor is not None and bool(tensor.dtype == paddle.float64)


def _scale(eps: float) -> float:
    """What inputs of a norm are multiplied with, so that the rounded eps acts as the given one.

    (x - mean) / sqrt(var + eps) stays as it is where x is scaled by s and eps by s ** 2.
    """
    rounded = float(np.float32(eps))
    return float(np.sqrt(rounded / eps)) if rounded > 0.0 else 1.0


def _norm(kernel: Kernel, place: int) -> Kernel:
    """A norm of what it is given; `place` is where eps stands among its arguments."""

    def norm(x: Any, *rest: Any) -> Any:
        exact = not _doubles(x) or _lost(rest[place]) == 0.0
        return kernel(x if exact else x * _scale(rest[place]), *rest)

    return norm


def _batch_norm(kernel: Kernel) -> Kernel:
    def norm(x: Any, mean: Any, variance: Any, *rest: Any) -> Any:
        momentum, eps = rest[3], rest[4]
        fixed = rest[6] or (rest[2] and not rest[7])  # global statistics, or testing
        given = _doubles(x) and _doubles(mean) and not isinstance(momentum, paddle.Tensor)
        if not given or _lost(eps) == _lost(momentum) == 0.0:
            return kernel(x, mean, variance, *rest)
        scale = _scale(eps)
        if fixed:
            return kernel(x * scale, mean * scale, variance * scale**2, *rest)
        before = mean.detach().clone(), variance.detach().clone()
        outputs = kernel(x * scale, mean, variance, *rest)
        kept = float(np.float32(momentum))
        for running, old, factor in zip((mean, variance), before, (scale, scale**2), strict=True):
            batch = (running.detach() - kept * old) / ((1.0 - kept) * factor)
            running.set_value(momentum * old + (1.0 - momentum) * batch)
        return outputs

    return norm


def _momentum(kernel: Kernel) -> Kernel:
    """Velocity: momentum * velocity + gradient; a coupled decay belongs to the gradient."""

    def update(p: Any, gradient: Any, velocity: Any, rate: Any, *rest: Any) -> Any:
        momentum, nesterov, method, decay, rescale = *rest[1:5], rest[6]
        lost = _lost(momentum), _lost(decay) if method == "l2_decay" else 0.0
        if not _doubles(p) or not _doubles(gradient) or lost == (0.0, 0.0):
            return kernel(p, gradient, velocity, rate, *rest)
        before = velocity.clone()
        made_up = gradient + (lost[0] * velocity + lost[1] * p) / rescale
        result = kernel(p, made_up, velocity, rate, *rest)
        if nesterov:  # which adds the factor times the new velocity, not the old
            p.subtract_(rate.astype(p.dtype) * lost[0] * (velocity - before))
        return result

    return update


def _adamw(kernel: Kernel) -> Kernel:
    """A decoupled decay: the parameter is multiplied with 1 - rate * decay."""

    def update(p: Any, gradient: Any, rate: Any, *rest: Any) -> Any:
        ratio, decay, decays = rest[10], rest[11], rest[12]
        if decays and _doubles(p) and _lost(decay) != 0.0:
            share = rate.astype(p.dtype) * ratio
            p.multiply_((1.0 - share * decay) / (1.0 - share * float(np.float32(decay))))
        return kernel(p, gradient, rate, *rest)

    return update


WRAPPERS: dict[str, Callable[[Kernel], Kernel]] = {
    "layer_norm": lambda kernel: _norm(kernel, 2),
    "instance_norm": lambda kernel: _norm(kernel, 2),
    "batch_norm": _batch_norm,
    "momentum_": _momentum,
    "adamw_": _adamw,
}
