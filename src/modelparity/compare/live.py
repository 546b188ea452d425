"""Arrays of any framework as tensors, by DLPack or the buffer protocol, without importing one."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelparity.compare.figures import Array
from modelparity.errors import UsageError
from modelparity.formats import Tensor
from modelparity.formats.tree import ALONE

# Dtypes that NumPy lacks; every value of theirs is a float32.
_NARROW = ("bfloat16", "float8")


def tensors(value: object, name: str = "") -> dict[str, Tensor]:
    """The tensors of an array, or of a mapping or sequence of them, by name.

    An array without a name is called as that of a file is. UsageError for what is no array.
    """
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and any(not _is_number(item) for item in value):
        items = [(str(place), item) for place, item in enumerate(value)]
    else:
        return {name or ALONE: tensor(value, name)}
    found: dict[str, Tensor] = {}
    for key, item in items:
        found |= tensors(item, f"{name}.{key}" if name else key)
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, bool | int | float | complex)


def tensor(value: Any, name: str = "") -> Tensor:
    """One array, of NumPy or of a framework, on any device, as a tensor."""
    dtype = _dtype_name(value)
    array = _array(value, name, dtype)
    if array.dtype.kind not in "biufc":
        raise UsageError(f"{name or 'value'}: {array.dtype} is no dtype of numbers")
    flat = np.ascontiguousarray(array).reshape(-1)
    flat = flat if flat.dtype.isnative else flat.astype(flat.dtype.newbyteorder("="))

    def chunks(count: int) -> Iterator[Array]:
        return (flat[start : start + count] for start in range(0, flat.size, count))

    narrow = dtype.startswith(_NARROW)
    return Tensor(dtype if narrow else flat.dtype.name, array.shape, chunks)


def _dtype_name(value: Any) -> str:
    """The dtype's name as NumPy writes it, where the value says one: "torch.bfloat16" or such."""
    return str(getattr(value, "dtype", "")).rpartition(".")[2].lower()


def _array(value: Any, name: str, dtype: str) -> Array:
    if hasattr(value, "detach"):  # a tensor that wants a gradient hands out no memory
        value = value.detach()
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if dtype.startswith(_NARROW) else value
    if dtype.startswith(_NARROW):
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
    return value.astype("float32")
