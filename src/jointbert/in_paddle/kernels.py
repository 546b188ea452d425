"""Loops over the memory of tensors, compiled by numba: once through it, where Paddle's operations
go a dozen times and on one core. They let go of the interpreter. ADR 20 says what that is worth."""

import ctypes
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import paddle
from numba import njit
from paddle import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])
KINDS: dict[Any, np.dtype[Any]] = {
    paddle.float32: np.dtype(np.float32),
    paddle.float64: np.dtype(np.float64),
}


def memory(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The elements of a tensor, flat, which keep it alive: what is written there is written to it.

    ValueError for what is not contiguous, not float32 or float64, or not on the CPU.
    """
    kind = KINDS.get(tensor.dtype)
    if kind is None or not tensor.is_contiguous() or not tensor.place.is_cpu_place():
        raise ValueError(
            f"{tensor.name}: expected a contiguous float32 or float64 tensor on the CPU,"
            f" not {tensor.dtype} on {tensor.place} with strides {tensor.strides}"
        )
    size = kind.itemsize * math.prod(tensor.shape)
    content: Any = (ctypes.c_char * size).from_address(tensor.data_ptr())
    content.owner = tensor  # or a temporary one would be freed below the array
    flat: np.ndarray[Any, Any] = np.frombuffer(content, kind)
    return flat


def _compiled(*fastmath: str) -> Callable[[Function], Function]:
    """Compile at the first call, and keep the code on disk where there is a place for it."""

    def decorate(function: Function) -> Function:
        options = {"fastmath": set(fastmath), "error_model": "numpy", "nogil": True}
        try:
            made: Function = njit(cache=True, **options)(function)
        except RuntimeError:  # neither the package's directory nor the home can be written
            made = njit(**options)(function)
        return made

    return decorate


@_compiled()
def adamw(
    value: Any,
    gradient: Any,
    mean: Any,
    square: Any,
    kept: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    step: Any,
    factor: Any,
    epsilon: Any,
) -> None:
    """One update of flat arrays; numbers in their dtype. `rest` is 1 - beta, rounded once."""
    for i in range(value.size):
        g = gradient[i]
        mean[i] = beta1 * mean[i] + rest1 * g
        square[i] = beta2 * square[i] + rest2 * (g * g)
        value[i] = kept * value[i] + step * (mean[i] / (math.sqrt(square[i]) * factor + epsilon))


@_compiled()
def scale(array: Any, factor: Any) -> None:
    """A flat array times a number of its dtype, in place."""
    for i in range(array.size):
        array[i] *= factor


@_compiled("reassoc")  # the sum may be formed in any order, so that it can be vectorised
def sum_of_squares(array: Any) -> float:
    """Of a flat array, in float64."""
    total = 0.0
    for i in range(array.size):
        x = np.float64(array[i])
        total += x * x
    return total
