"""From what a pickle holds to tensors by name."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelparity.errors import InputError
from modelparity.formats.objects import ArrayContent, View
from modelparity.formats.printing import printable
from modelparity.formats.tensor import Array, Buffer, Tensor, of_array

ALONE = "array"  # the name of a tensor that has none
MOST, DEEPEST = 10_000_000, 200
BIG = "UnpackBigParamInfor@@"  # Paddle's key for parameters that it has cut into slices
NAMES = "StructuredToParameterName@@"  # Paddle's table of names, no tensor


def tensors_of(content: Any, buffer: Buffer, where: str) -> dict[str, Tensor]:
    """The tensors in nested dictionaries, lists and tuples, by their keys joined with dots.

    Numbers are tensors without axes (float64, int64, complex128, bool); texts, bytes and None are
    left out. InputError, with `where`, for two of one name and for what does not fit together.
    """
    found: dict[str, Tensor] = {}
    for count, (name, leaf) in enumerate(_leaves(content, where)):
        if count >= MOST:
            raise InputError(f"{where}: it holds more than {MOST:,} things")
        shown = f"{where}: {printable(name or ALONE)}"
        if (name or ALONE) in found:
            raise InputError(f"{shown} stands there twice")
        try:
            tensor = leaf if isinstance(leaf, Tensor) else _tensor(leaf, buffer)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{shown}: {error}") from None
        if tensor is not None:
            found[name or ALONE] = tensor
    return _joined(found, content, where)


def _tensor(leaf: Any, buffer: Buffer) -> Tensor | None:
    if isinstance(leaf, ArrayContent | View):
        return leaf.tensor(buffer)
    if isinstance(leaf, bool | int | float | complex):
        try:
            return of_array(_number(leaf))
        except OverflowError:
            raise ValueError("an integer has more than 64 bits") from None
    return None


def _number(value: bool | float | complex) -> Array:
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
    return np.array(value, kinds[type(value)])


def _leaves(content: Any, where: str) -> Iterator[tuple[str, Any]]:
    """(name, what is no container), in order, without recursion."""
    waiting: list[Iterator[tuple[str, Any]]] = [iter([("", content)])]
    steps = 0
    while waiting:
        steps += 1
        if steps > 4 * MOST or len(waiting) > DEEPEST:
            raise InputError(f"{where}: it is nested too deep, or holds too much")
        try:
            name, value = next(waiting[-1])
        except StopIteration:
            waiting.pop()
            continue
        inside = _inside(name, value)
        if inside is None:
            yield name, value
        else:
            waiting.append(inside)


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]] | None:
    start = f"{name}." if name else ""
    if isinstance(value, ArrayContent) and value.held() is not None:
        held = value.held() or []
        return iter([(name, held[0])]) if value.shape == () else _numbered(start, held)
    if isinstance(value, dict):
        return ((f"{start}{key}", inner) for key, inner in value.items() if key not in (BIG, NAMES))
    if _is_named(value):
        return iter([(name, value[1])])
    if isinstance(value, list | tuple):
        return _numbered(start, value)
    if isinstance(value, set | frozenset):
        return iter(())
    return None


def _is_named(value: Any) -> bool:
    """Whether it is Paddle's (name, array) of a parameter."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return isinstance(value[0], str) and isinstance(value[1], ArrayContent | View)


def _numbered(start: str, values: Any) -> Iterator[tuple[str, Any]]:
    return ((f"{start}{number}", value) for number, value in enumerate(values))


def _joined(found: dict[str, Tensor], content: Any, where: str) -> dict[str, Tensor]:
    """Parameters that Paddle has cut into slices, made whole again."""
    cut = content.get(BIG) if isinstance(content, dict) else None
    if not isinstance(cut, dict):
        return found
    for name, told in cut.items():
        try:
            shape, slices = tuple(told["OriginShape"]), [found.pop(key) for key in told["slices"]]
        except (KeyError, TypeError):
            raise InputError(f"{where}: the slices of {printable(str(name))} are missing") from None
        if len({part.dtype for part in slices}) != 1 or not _fits(shape, slices):
            raise InputError(f"{where}: the slices of {printable(str(name))} do not fit together")
        found[str(name)] = Tensor(slices[0].dtype, shape, _chained(slices))
    return found


def _fits(shape: tuple[Any, ...], slices: list[Tensor]) -> bool:
    counts = [int(np.prod(part.shape, dtype=object)) for part in slices]
    plain = all(type(n) is int and n >= 0 for n in shape)
    return plain and int(np.prod(shape, dtype=object)) == sum(counts)


def _chained(slices: list[Tensor]) -> Any:
    def chunks(size: int) -> Iterator[Array]:
        rest: Array | None = None
        for part in slices:
            for chunk in part.chunks(size):
                whole = chunk if rest is None else np.concatenate([rest, chunk])
                rest = whole[size:] if whole.size > size else None
                if whole.size >= size:
                    yield whole[:size]
                else:
                    rest = whole
        if rest is not None and rest.size:
            yield rest

    return chunks
