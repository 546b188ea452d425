"""Mistakes inside one module: its formula is found by what reproduces the reference, then varied.

A module is taken for a normalisation, a linear map, an activation or an embedding only where that
formula gives the reference's output from its recorded input.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis
from modelparity.diff import rms

Array = np.ndarray[Any, Any]
Parameters = Mapping[str, Array]  # by the last part of their names
Member = tuple[str, Callable[[], Array]]  # a formula in words, and what it gives
Formulas = Iterator[Member]

EPS = (0.0, *(10.0**-k for k in range(15, 1, -1)), 2e-5, 1e-12)
LOOKED_UP = 4  # rows that are worth naming
REPRODUCES = 1e-9  # relative rms: the reference itself is met to 1e-15


def hypotheses(
    inputs: Array,
    reference: Array,
    parameters: Parameters,
    eps: tuple[float, ...] = (),
    others: Mapping[str, Parameters] = MappingProxyType({}),
) -> Iterator[Hypothesis]:
    """What the module would give with one thing changed.

    inputs, reference  the module's recorded input and output; eps  further values to try; others
    parameters of modules like it, by their names
    """
    for family in _families((*EPS, *eps)):
        members = _members(family(inputs, parameters), reference.shape)
        gaps = [rms(values - reference) for _, values in members]
        if not gaps or not min(gaps) <= REPRODUCES * max(rms(reference), 1e-300):
            continue
        right = int(np.argmin(gaps))
        seen: list[Array] = []
        for number, (text, values) in enumerate(members):
            if number != right and not any(np.array_equal(values, other) for other in seen):
                seen.append(values)
                yield f"with {text} in place of {members[right][0]}", values
        for name, theirs in others.items() if parameters else ():
            formula = [one for one in family(inputs, theirs) if one[0] == members[right][0]]
            for _, values in _members(formula, reference.shape):
                yield f"with the parameters of {name} in place of its own", values
        return


def looked_up(inputs: Array, candidate: Array, parameters: Parameters) -> Iterator[Hypothesis]:
    """For a table of rows: which indices the candidate looks up as which others."""
    table = next((a for a in parameters.values() if a.ndim == 2), None)
    if table is None or inputs.dtype.kind not in "iu" or not inputs.size:
        return
    if candidate.shape != (*inputs.shape, table.shape[1]) or inputs.max() >= len(table):
        return
    indices, first = np.unique(inputs, return_index=True)
    made = candidate.reshape(-1, table.shape[1])[first]
    wrong = np.flatnonzero((np.abs(made - table[indices]) > 0.0).any(axis=1))
    if not 0 < wrong.size <= min(LOOKED_UP, indices.size // 2):
        return
    rows, becomes = table.copy(), []
    for place in wrong:
        nearest = int(np.argmin(np.square(table - made[place]).sum(axis=1)))
        lost = not made[place].any()
        rows[indices[place]] = 0.0 if lost else table[nearest]
        becomes.append(f"{indices[place]} {'gives zeros' if lost else f'is row {nearest}'}")
    yield f"only some rows are others: {', '.join(becomes)}", rows[inputs]


def _families(eps: tuple[float, ...]) -> tuple[Callable[[Array, Parameters], Formulas], ...]:
    return (
        lambda inputs, parameters: _normalisations(inputs, parameters, eps),
        _linear,
        lambda inputs, _: _activations(inputs),
        _embeddings,
    )


def _members(formulas: Iterable[Member], shape: tuple[int, ...]) -> list[tuple[str, Array]]:
    computed = ((text, _computed(compute)) for text, compute in formulas)
    return [(text, a) for text, a in computed if a is not None and a.shape == shape]


def _computed(compute: Callable[[], Array]) -> Array | None:
    try:
        with np.errstate(all="ignore"):
            return compute()
    except (ValueError, IndexError):
        return None


def _vectors(parameters: Parameters, size: int) -> list[Array]:
    return [a for a in parameters.values() if a.shape == (size,)]


def _normalisations(x: Array, parameters: Parameters, eps: tuple[float, ...]) -> Iterator[Member]:
    if x.dtype.kind != "f" or x.ndim < 2 or x.shape[-1] < 2:
        return
    weight = parameters.get("weight", np.ones(()))
    bias = parameters.get("bias", np.zeros(()))
    for value in dict.fromkeys(eps):
        yield f"eps {value:g}", partial(_layernorm, x, weight, bias, value)
    for value in dict.fromkeys(eps):
        text = f"RMSNorm, which subtracts no mean, and eps {value:g}"
        yield text, partial(_rmsnorm, x, weight, bias, value)
    yield "the variance over n - 1", partial(_layernorm, x, weight, bias, 1e-12, ddof=1)
    yield "eps 1e-5 outside the root", partial(_layernorm, x, weight, bias, 1e-5, outside=True)
    yield "no bias", partial(_layernorm, x, weight, np.zeros(()), 1e-12)
    yield "no weight", partial(_layernorm, x, np.ones(()), bias, 1e-12)
    yield "1 + weight", partial(_layernorm, x, 1.0 + weight, bias, 1e-12)
    yield "no normalisation", lambda: x


def _layernorm(
    x: Array, weight: Array, bias: Array, eps: float, *, ddof: int = 0, outside: bool = False
) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    variance = centred.var(-1, keepdims=True, ddof=ddof)
    root = np.sqrt(variance) + eps if outside else np.sqrt(variance + eps)
    result: Array = centred / root * weight + bias
    return result


def _rmsnorm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    result: Array = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps) * weight + bias
    return result


def _linear(x: Array, parameters: Parameters) -> Iterator[Member]:
    weight = next((a for a in parameters.values() if a.ndim == 2), None)
    if weight is None or x.dtype.kind != "f":
        return
    for layout, turned in (("the weight", weight.T), ("the weight transposed", weight)):
        if x.shape[-1:] != turned.shape[:1]:
            continue
        yield f"{layout}, no bias", partial(np.matmul, x, turned)
        for bias in _vectors(parameters, turned.shape[1])[:1]:
            yield f"{layout} and bias", partial(_affine, x, turned, bias)
            yield f"{layout} and bias added twice", partial(_affine, x, turned, 2.0 * bias)
            yield f"{layout} and bias subtracted", partial(_affine, x, turned, -bias)
    yield "no linear map at all", lambda: x


def _affine(x: Array, weight: Array, bias: Array) -> Array:
    result: Array = x @ weight + bias
    return result


def _activations(x: Array) -> Iterator[Member]:
    if x.dtype.kind != "f":
        return
    from scipy import special

    yield "GELU by the error function", lambda: x * special.ndtr(x)
    yield (
        "GELU by its tanh approximation",
        lambda: 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))),
    )
    yield "GELU by its sigmoid approximation", lambda: x * special.expit(1.702 * x)
    yield "ReLU", lambda: np.maximum(x, 0.0)
    yield "tanh", lambda: np.tanh(x)
    yield "no activation", lambda: x
    yield "SiLU", lambda: x * special.expit(x)
    yield "the sigmoid", lambda: special.expit(x)
    yield "leaky ReLU of slope 0.01", lambda: np.where(x > 0.0, x, 0.01 * x)
    yield "ELU", lambda: np.where(x > 0.0, x, np.expm1(x))
    yield "ReLU6", lambda: np.clip(x, 0.0, 6.0)
    yield "softplus", lambda: np.logaddexp(x, 0.0)
    yield "hard sigmoid", lambda: np.clip(x / 6.0 + 0.5, 0.0, 1.0)
    yield "softmax over the last axis", lambda: special.softmax(x, axis=-1)
    yield "log-softmax over the last axis", lambda: special.log_softmax(x, axis=-1)


def _embeddings(x: Array, parameters: Parameters) -> Iterator[Member]:
    table = next((a for a in parameters.values() if a.ndim == 2), None)
    if table is None or x.dtype.kind not in "iu" or (x.size and int(x.max()) >= table.shape[0]):
        return
    rows, padding = table[x], (x == 0)[..., None]
    yield "the table's rows", lambda: rows
    yield "zeros for index 0, the padding", lambda: np.where(padding, 0.0, rows)
    yield "rows one further", lambda: table[np.minimum(x + 1, table.shape[0] - 1)]
    yield "rows one before", lambda: table[np.maximum(x - 1, 0)]
    yield "rows times sqrt(size)", lambda: rows * math.sqrt(table.shape[1])
    yield "row 0 for every index", lambda: np.broadcast_to(table[0], rows.shape)
    yield (
        "positions in place of what is looked up",
        lambda: np.broadcast_to(table[np.arange(x.shape[-1]) % table.shape[0]], rows.shape),
    )
