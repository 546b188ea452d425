"""How the arrays of names that face each other are laid out on either side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelparity.pairing import Pairing

Array = np.ndarray[Any, Any]


def _swap(array: Array) -> Array:
    return np.swapaxes(array, -1, -2) if array.ndim >= 2 else array


def _join(arrays: Sequence[Array], axis: int) -> list[Array] | None:
    try:
        return [np.concatenate(arrays, axis=axis)]
    except ValueError:  # shapes that do not fit
        return None


def _split(array: Array, shapes: Sequence[tuple[int, ...]], axis: int) -> list[Array] | None:
    if not all(-len(shape) <= axis < len(shape) for shape in (array.shape, *shapes)):
        return None
    sizes = [shape[axis] for shape in shapes]
    if sum(sizes) != array.shape[axis]:
        return None
    return np.split(array, np.cumsum(sizes)[:-1], axis=axis)


def to_candidate(
    pairing: Pairing, arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Reference arrays in the candidate's names and layout; `shapes` are the candidate's.

    Pairs whose arrays are absent, or do not fit together, are left out: the comparison of the
    parameters themselves reports those.
    """
    result: dict[str, Array] = {}
    for p in pairing.pairs:
        if not all(name in arrays for name in p.reference):
            continue
        laid = [_swap(arrays[n]) if p.transpose else arrays[n] for n in p.reference]
        parts: list[Array] | None = laid
        if len(p.reference) > 1:
            parts = _join(laid, p.axis)
        elif len(p.candidate) > 1:
            parts = _split(laid[0], [shapes[n] for n in p.candidate], p.axis)
        if parts is not None:
            result.update(zip(p.candidate, parts, strict=True))
    return result


def to_reference(
    pairing: Pairing, arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Candidate arrays in the reference's names and layout; `shapes` are the reference's.

    Arrays that face nobody, or do not fit together, keep their own names and layout.
    """
    result: dict[str, Array] = {}
    rest = dict(arrays)
    for p in pairing.pairs:
        if not all(name in arrays for name in p.candidate):
            continue
        laid = [arrays[n] for n in p.candidate]
        parts: list[Array] | None = laid
        if len(p.candidate) > 1:
            parts = _join(laid, p.axis)
        elif len(p.reference) > 1:
            faced = [_laid_shape(shapes[n], p.transpose) for n in p.reference]
            parts = _split(laid[0], faced, p.axis)
        if parts is None:
            continue
        for name in p.candidate:
            del rest[name]
        result.update(
            (name, _swap(part) if p.transpose else part)
            for name, part in zip(p.reference, parts, strict=True)
        )
    return {**result, **rest}


def _laid_shape(shape: tuple[int, ...], transpose: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if transpose and len(shape) >= 2 else shape


def rename(pairing: Pairing, values: Mapping[str, Any]) -> dict[str, Any]:
    """The candidate's values, one a name, under the reference's names.

    Where several candidate names face one reference name their values must agree; if they do not,
    and for names that face nobody, the candidate's own names stay.
    """
    result: dict[str, Any] = {}
    rest = dict(values)
    for p in pairing.pairs:
        if not all(name in values for name in p.candidate):
            continue
        first = values[p.candidate[0]]
        if all(np.array_equal(values[name], first) for name in p.candidate):
            result.update((name, first) for name in p.reference)
            for name in p.candidate:
                del rest[name]
    return {**result, **rest}
