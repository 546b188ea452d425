"""What a pickle may name, and what stands for it here: nothing of it is run or imported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelparity.formats.leaves import (
    ArrayContent,
    Constant,
    DtypeCode,
    Leaf,
    Raw,
    Storage,
    View,
    checked_shape,
)
from modelparity.formats.tensor import STORED, is_count


@dataclass(frozen=True)
class Made:
    """A name that is called: `make` gives what stands for its result."""

    make: Callable[..., Any]


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> View:
    if not isinstance(storage, Storage) or not storage.dtype:
        raise ValueError("a tensor has no storage of numbers")
    return _checked(storage, offset, (shape, strides), storage.dtype, *more[2:])


def _view_of_bytes(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> View:
    dtype = more[2].name if len(more) > 2 and isinstance(more[2], Constant) else ""
    if not isinstance(storage, Storage) or dtype not in STORED:
        raise ValueError(f"a tensor of dtype {dtype} is not read")
    return _checked(storage, offset, (shape, strides), dtype, *more[3:])


def _checked(
    storage: Storage, offset: Any, layout: tuple[Any, Any], dtype: str, turned: Any = None
) -> View:
    """A view; turned  {"conj": True} or {"neg": True} where it is, else None or empty."""
    shape, strides = layout
    # Where an axis has one element, any stride of it is as good.
    if not isinstance(strides, tuple) or len(checked_shape(shape)) != len(strides):
        raise ValueError("a tensor has other axes than strides")
    if not is_count(offset) or not all(map(is_count, strides)):
        raise ValueError("an offset or a stride is no count")
    turned = turned or {}
    if not isinstance(turned, dict) or not set(turned) <= {"conj", "neg"}:
        raise ValueError("a tensor is stored in a way that is not read")
    conjugated, negated = bool(turned.get("conj")), bool(turned.get("neg"))
    return View(storage, offset, shape, strides, dtype, conjugated, negated)


def _of_type(make: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    if make not in (Made(_view), Made(_view_of_bytes)) or not isinstance(kind, Constant):
        raise ValueError("a tensor of another class is not read")
    return make.make(*arguments)


def _reconstruct(*_: Any) -> ArrayContent:
    return ArrayContent()


def _scalar(dtype: Any, elements: Any) -> ArrayContent:
    content = ArrayContent()
    content.restore((1, (), dtype, False, elements))
    return content


def _from_buffer(elements: Any, dtype: Any, shape: Any, order: Any) -> ArrayContent:
    content = ArrayContent()
    content.restore((1, shape, dtype, order == "F", elements))
    return content


def _dtype(code: Any, *_: Any) -> DtypeCode:
    if not isinstance(code, str) or len(code) > 8:
        raise ValueError("a dtype has no code")
    return DtypeCode("O" if code.startswith("O") else code)


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes are written in a way that is not read")
    return text.encode("latin-1")


def _bytes(content: Any = b"", *_: Any) -> bytes | Raw:
    if isinstance(content, str):
        return _encoded(content)
    if not isinstance(content, bytes | Raw):
        raise ValueError("bytes are made of something else")
    return content


def _dictionary(items: Any = (), *_: Any) -> dict[Any, Any]:
    if isinstance(items, dict):
        return dict(items)
    if not isinstance(items, list | tuple):
        raise ValueError("a dictionary is made of something else")
    pairs = [tuple(item) for item in items if isinstance(item, list | tuple)]
    if len(pairs) != len(items) or not all(map(_is_pair, pairs)):
        raise ValueError("a dictionary is made of something else")
    return dict(pairs)


def _is_pair(pair: tuple[Any, ...]) -> bool:
    return len(pair) == 2 and isinstance(pair[0], str | int)


def _listed(items: Any = ()) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise ValueError("a list is made of something else")
    return list(items)


SET: frozenset[Any] = frozenset()


def unordered(items: Any = ()) -> frozenset[Any]:
    """What stands for every set: nothing. ValueError where arrays would be lost by that."""
    if any(isinstance(item, Leaf) for item in _listed(items)):
        raise ValueError("a set of arrays has no order: save a list")
    return SET


def _complex(real: Any = 0.0, imaginary: Any = 0.0) -> complex:
    return complex(float(real), float(imaginary))


def _table() -> Mapping[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): Made(_dictionary),
        ("collections", "defaultdict"): Made(lambda *_: {}),
        ("collections", "Counter"): Made(_dictionary),
        ("_codecs", "encode"): Made(_encoded),
        ("numpy", "dtype"): Made(_dtype),
        ("numpy", "ndarray"): Constant("ndarray"),
        ("torch", "Size"): Made(lambda items=(): tuple(_listed(items))),
        ("torch", "device"): Made(lambda *_: None),
        ("torch", "Tensor"): Constant("Tensor"),
        ("torch.nn.parameter", "Parameter"): Constant("Parameter"),
        ("torch.storage", "UntypedStorage"): Constant(""),
        ("torch", "UntypedStorage"): Constant(""),
        ("torch._utils", "_rebuild_tensor"): Made(_view),
        ("torch._utils", "_rebuild_tensor_v2"): Made(_view),
        ("torch._utils", "_rebuild_tensor_v3"): Made(_view_of_bytes),
        ("torch._utils", "_rebuild_parameter"): Made(lambda data, *_: data),
        ("torch._utils", "_rebuild_parameter_with_state"): Made(lambda data, *_: data),
        ("torch._tensor", "_rebuild_from_type_v2"): Made(_of_type),
    }
    for module in ("builtins", "__builtin__"):
        table |= {
            # What a defaultdict makes of names that it lacks.
            **{(module, kind): Constant(kind) for kind in ("int", "long", "float", "bool", "str")},
            (module, "complex"): Made(_complex),
            (module, "tuple"): Made(lambda items=(): tuple(_listed(items))),
            (module, "list"): Made(_listed),
            (module, "dict"): Made(_dictionary),
            (module, "set"): Made(unordered),
            (module, "frozenset"): Made(unordered),
            (module, "bytes"): Made(_bytes),
            (module, "bytearray"): Made(_bytes),
        }
    for package in ("numpy.core", "numpy._core"):
        table[f"{package}.multiarray", "_reconstruct"] = Made(_reconstruct)
        table[f"{package}.multiarray", "scalar"] = Made(_scalar)
        table[f"{package}.numeric", "_frombuffer"] = Made(_from_buffer)
    storages = {
        "Double": "float64",
        "Float": "float32",
        "Half": "float16",
        "BFloat16": "bfloat16",
        "Long": "int64",
        "Int": "int32",
        "Short": "int16",
        "Char": "int8",
        "Byte": "uint8",
        "Bool": "bool",
        "ComplexFloat": "complex64",
        "ComplexDouble": "complex128",
    }
    table |= {("torch", f"{name}Storage"): Constant(dtype) for name, dtype in storages.items()}
    table |= {("torch", dtype): Constant(dtype) for dtype in STORED}
    return table


ADMITTED = _table()
