"""Arrays of any framework as tensors, by DLPack or the buffer protocol, without importing one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelparity.compare.figures import Array
from modelparity.errors import UsageError
from modelparity.formats import Tensor
from modelparity.formats.tensor import STORED
from modelparity.formats.tree import ALONE

# Dtypes that NumPy lacks; every value of theirs is a float32.
_NARROW = re.compile(r"bfloat16|float8_\w+")


def tensors(value: object, name: str = "") -> dict[str, Tensor]:
    """The tensors of an array, or of a mapping or sequence of them, by name.

    Lists of numbers, nested or not, are one array. An array without a name is called as that of a
    file is. UsageError for what is no array, and where two would have one name.
    """
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and not _is_numbers(value):
        items = [(str(place), item) for place, item in enumerate(value)]
    else:
        return {name or ALONE: tensor(value, name)}
    found: dict[str, Tensor] = {}
    for key, item in items:
        inner = tensors(item, f"{name}.{key}" if name else key)
        for twice in found.keys() & inner.keys():
            raise UsageError(f"{twice} stands there twice")
        found |= inner
    return found


def _is_numbers(value: object) -> bool:
    """Whether a value is a number, or lists of numbers within lists: one array, not several."""
    if isinstance(value, list | tuple):
        return all(map(_is_numbers, value))
    return isinstance(value, bool | int | float | complex | np.generic)


def tensor(value: Any, name: str = "") -> Tensor:
    """One array, of NumPy or of a framework, on any device, as a tensor."""
    dtype = _narrow_name(value)
    array = _array(value, name, dtype)
    if array.dtype.name not in STORED:
        raise UsageError(f"{name or 'value'}: {array.dtype} is no dtype that is compared")
    flat = np.ascontiguousarray(array).reshape(-1)
    flat = flat if flat.dtype.isnative else flat.astype(flat.dtype.newbyteorder("="))

    def chunks(count: int) -> Iterator[Array]:
        return (flat[start : start + count] for start in range(0, flat.size, count))

    return Tensor(dtype or flat.dtype.name, array.shape, chunks)


def _narrow_name(value: Any) -> str:
    """The dtype's name as NumPy writes it, if it is one that NumPy lacks: of "torch.bfloat16"."""
    found = _NARROW.search(str(getattr(value, "dtype", "")).lower())
    return found[0] if found else ""


def _array(value: Any, name: str, dtype: str) -> Array:
    if hasattr(value, "detach"):  # a tensor that wants a gradient hands out no memory
        value = value.detach()
    if hasattr(value, "resolve_conj"):  # nor does one that is conjugated or negated when it is read
        value = value.resolve_conj().resolve_neg()
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if dtype else value
    if dtype:
        value = _widened(value)
    if hasattr(value, "__dlpack__"):
        for elsewhere in (False, True):
            try:
                shared: Array = np.from_dlpack(value.cpu() if elsewhere else value)
                return shared
            except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
                continue  # on another device, or of a kind that DLPack cannot hand out
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        what = str(error).partition("\n")[0]
        raise UsageError(f"{name or 'value'}: {type(value).__name__} is no array: {what}") from None


def _widened(value: Any) -> Any:
    """A framework's bfloat16 or float8 as its float32, by whichever way it has."""
    if hasattr(value, "float"):
        return value.float()
    if hasattr(value, "astype"):
        return value.astype("float32")
    return np.asarray(value).astype(np.float32)
