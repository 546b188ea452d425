"""From what a pickle holds to tensors by name."""

import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from modelparity.errors import InputError
from modelparity.formats.leaves import ArrayContent, Storage, View
from modelparity.formats.printing import printable
from modelparity.formats.sources import Source
from modelparity.formats.tensor import Array, Chunks, Tensor, is_shape

ALONE = "array"  # the name of a tensor that has none
# Things that are held several times count as often: a few lists within lists unfold to billions.
MOST, DEEPEST = 3_000_000, 200
MOST_TENSORS = 1_000_000  # in memory each takes less than 1,000 bytes
LONGEST, MOST_TEXT = 4096, 1 << 27  # characters of a name, of all names
BIG = "UnpackBigParamInfor@@"  # Paddle's key for parameters that it has cut into slices
NAMES = "StructuredToParameterName@@"  # Paddle's table of names, no tensor


def tensors_of(content: Any, source: Source, where: str) -> dict[str, Tensor]:
    """The tensors in nested dictionaries, lists and tuples, by their keys joined with dots.

    Numbers are tensors without axes (float64, int64, complex128, bool); integers beyond 64 bits,
    texts, bytes and None are left out. InputError, with `where`, for two of one name and for what
    does not fit together.
    """
    found: dict[str, Tensor] = {}
    text = 0
    try:
        for name, leaf in _leaves(content):
            text += len(name)
            if text > MOST_TEXT:
                raise ValueError(f"its names have more than {MOST_TEXT:,} characters")
            tensor = _tensor(leaf, name, source)
            if tensor is None:
                continue
            if name in found:
                raise ValueError(f"{name} stands there twice")
            found[name] = tensor
            if len(found) > MOST_TENSORS:
                raise ValueError(f"it holds more than {MOST_TENSORS:,} tensors")
        return _joined(found, content)
    except ValueError as error:
        raise InputError(f"{where}: {printable(str(error))}") from None


def nested_of(content: Any, source: Source, where: str) -> dict[Any, Any] | None:
    """The same in the dictionaries that hold them, lists as dictionaries by their places.

    None where content is no dictionary.
    """
    found = tensors_of(content, source, where)
    held = content.held() if isinstance(content, ArrayContent) else [content]
    return _nested(held[0], found, "") if held and isinstance(held[0], dict) else None


def _nested(content: dict[Any, Any], found: dict[str, Tensor], outer: str) -> dict[Any, Any]:
    nested: dict[Any, Any] = {}
    for key, (full, value) in zip(content, _named(outer, content.items()), strict=True):
        if isinstance(value, dict):
            nested[key] = _nested(value, found, full)
            continue
        names = [name for name, _ in _leaves(value, full) if name in found]
        if names == [full]:
            nested[key] = found[full]
        elif names:
            nested[key] = {name[len(full) + 1 :]: found[name] for name in names}
    return nested


def _tensor(leaf: Any, name: str, source: Source) -> Tensor | None:
    if isinstance(leaf, ArrayContent | View):
        try:
            return leaf.tensor(source)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if isinstance(leaf, Storage):
        raise ValueError(f"{name}: a storage without a tensor is not read")
    if isinstance(leaf, bool | int | float | complex):
        return _number(leaf)
    return None


def _number(value: bool | float | complex) -> Tensor | None:
    kinds = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}
    dtype = kinds[type(value)]
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        if not 0 < value < 1 << 64:
            return None
        dtype = "uint64"
    return Tensor(dtype, (), partial(_alone, value, dtype))


def _alone(value: complex, dtype: str, size: int) -> Iterator[Array]:
    del size
    yield np.array([value], dtype)


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(name, what is no container), in order, without recursion."""
    waiting: list[Iterator[tuple[str, Any]]] = [iter([(name, content)])]
    for _ in range(MOST):
        if len(waiting) > DEEPEST:
            raise ValueError("it is nested too deep")
        try:
            name, value = next(waiting[-1])
        except StopIteration:
            waiting.pop()
            if not waiting:
                return
            continue
        inside = _inside(name, value)
        if inside is None:
            yield name or ALONE, value
        else:
            waiting.append(inside)
    raise ValueError(f"it holds more than {MOST:,} things")


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]] | None:
    if isinstance(value, ArrayContent) and value.held() is not None:
        held = value.held() or []
        alone = value.shape == () and len(held) == 1
        return iter([(name, held[0])]) if alone else _named(name, enumerate(held))
    if isinstance(value, dict):
        return _named(name, ((k, v) for k, v in value.items() if k not in (BIG, NAMES)))
    if _is_named(value):
        return iter([(name, value[1])])
    if isinstance(value, list | tuple):
        return _named(name, enumerate(value))
    return iter(()) if isinstance(value, frozenset) else None


def _named(outer: str, items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    for key, value in items:
        shown = key if isinstance(key, str) else _text(key)
        if len(outer) + len(shown) >= LONGEST:
            raise ValueError(f"a name has more than {LONGEST:,} characters")
        yield (f"{outer}.{shown}" if outer else shown), value


def _text(key: Any) -> str:
    """A key that is no text, as one; its parts are short or it takes too long."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, str | bytes) and len(part) > LONGEST for part in parts):
        raise ValueError(f"a name has more than {LONGEST:,} characters")
    return str(key)


def _is_named(value: Any) -> bool:
    """Whether it is Paddle's (name, array) of a parameter."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return isinstance(value[0], str) and isinstance(value[1], ArrayContent | View)


def _numbered(start: str, values: Any) -> Iterator[tuple[str, Any]]:
    return ((f"{start}{number}", value) for number, value in enumerate(values))


def _joined(found: dict[str, Tensor], content: Any) -> dict[str, Tensor]:
    """Parameters that Paddle has cut into slices, made whole again."""
    cut = content.get(BIG) if isinstance(content, dict) else None
    if not isinstance(cut, dict):
        return found
    for name, told in cut.items():
        try:
            shape, slices = tuple(told["OriginShape"]), [found.pop(key) for key in told["slices"]]
        except (KeyError, TypeError):
            raise ValueError(f"the slices of {name} are missing") from None
        if len({part.dtype for part in slices}) != 1 or not _fits(shape, slices):
            raise ValueError(f"the slices of {name} do not fit together")
        if str(name) in found:
            raise ValueError(f"{name} stands there twice")
        found[str(name)] = Tensor(slices[0].dtype, shape, _chained(slices))
    return found


def _fits(shape: tuple[Any, ...], slices: list[Tensor]) -> bool:
    return is_shape(shape) and math.prod(shape) == sum(math.prod(part.shape) for part in slices)


def _chained(slices: list[Tensor]) -> Chunks:
    def chunks(size: int) -> Iterator[Array]:
        rest = np.empty(0)
        for part in slices:
            for chunk in part.chunks(size):
                # Copied even where nothing is left over: a view tells that all lies in one piece.
                whole = np.concatenate([rest, chunk]) if rest.size else chunk.copy()
                if whole.size >= size:
                    yield whole[:size]
                rest = whole[size:] if whole.size >= size else whole
        if rest.size:
            yield rest

    return chunks
