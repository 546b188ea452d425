"""PyTorch's checkpoints, zip and legacy, and pickles such as PaddlePaddle's .pdparams."""

from typing import Any

from modelparity.errors import InputError
from modelparity.formats.archives import Archive
from modelparity.formats.objects import Constant, Storage
from modelparity.formats.pickles import unpickled
from modelparity.formats.printing import printable
from modelparity.formats.tensor import Buffer, Tensor, itemsize
from modelparity.formats.tree import tensors_of

LARGEST_PICKLE = 1 << 30  # bytes of a checkpoint's data.pkl
LEGACY, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # torch/serialization.py


def is_torch_zip(names: list[str]) -> bool:
    """Whether an archive's members are those of a checkpoint."""
    return any(name.rpartition("/")[2] == "data.pkl" for name in names)


def read_torch_zip(archive: Archive) -> dict[str, Tensor]:
    """The tensors of a checkpoint whose storages are members of an archive."""
    [*pickles] = [name for name in archive.names() if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise InputError(f"{archive.path}: it holds {len(pickles)} pickles, not one")
    root = pickles[0].removesuffix("data.pkl")
    order = "<"
    if f"{root}byteorder" in archive.names():
        order = ">" if archive.content(f"{root}byteorder", 16) == b"big" else "<"
    storages: dict[str, Storage] = {}

    def persistent(reference: Any) -> Storage:
        dtype, key, size = _reference(reference)
        if key not in storages:
            buffer, place, held = archive.place(f"{root}data/{key}")
            storages[key] = Storage(dtype, held, buffer, place, order)
        found = storages[key]
        if found.size < size:
            raise ValueError(f"storage {key} holds {found.size} bytes, not {size}")
        same = found.dtype == dtype
        return found if same else Storage(dtype, found.size, found.buffer, found.place, order)

    where = str(archive.path)
    content, _ = unpickled(archive.content(pickles[0], LARGEST_PICKLE), where, 0, persistent)
    return tensors_of(content, b"", where)


def _reference(reference: Any) -> tuple[str, str, int]:
    """(dtype, key, bytes) of a storage. ValueError where the reference is none to a storage."""
    if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
        raise ValueError("it refers to something other than a storage")
    kind, key, count = reference[1], reference[2], reference[4]
    if not isinstance(kind, Constant) or not isinstance(key, str) or type(count) is not int:
        raise ValueError("it refers to a storage of another form")
    if not 0 <= count < 1 << 62 or len(key) > 100 or (kind.name and itemsize(kind.name) < 1):
        raise ValueError("it refers to a storage of another size")
    return kind.name, key, count * (itemsize(kind.name) if kind.name else 1)


def read_pickle(buffer: Buffer, where: str) -> dict[str, Tensor]:
    """A pickled container of arrays, or a legacy checkpoint, which begins with a number."""
    content, behind = unpickled(buffer, where)
    if content == LEGACY and type(content) is int:
        return _legacy(buffer, where, behind)
    if behind != len(buffer):
        raise InputError(f"{where}: {len(buffer) - behind} bytes follow the pickle")
    return tensors_of(content, buffer, where)


def _legacy(buffer: Buffer, where: str, place: int) -> dict[str, Tensor]:
    """Protocol, system, object, keys: four pickles; then each storage's count and bytes."""
    storages: dict[str, Storage] = {}

    def persistent(reference: Any) -> Storage:
        dtype, key, size = _reference(reference)
        if len(reference) > 5 and reference[5] is not None:
            raise ValueError(f"storage {key} is a view of another one, which is not read")
        if not dtype:
            raise ValueError(f"storage {key} has no dtype")
        return storages.setdefault(key, Storage(dtype, size))

    protocol, place = unpickled(buffer, where, place)
    system, place = unpickled(buffer, where, place)
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise InputError(f"{where}: its protocol is not that of a checkpoint")
    little = system.get("little_endian", True) is not False
    content, place = unpickled(buffer, where, place, persistent)
    keys, place = unpickled(buffer, where, place)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InputError(f"{where}: the list of its storages is missing")
    for key in keys:
        if key not in storages:
            raise InputError(f"{where}: storage {printable(key)} belongs to no tensor")
        storage = storages[key]
        count = int.from_bytes(buffer[place : place + 8], "little")
        size = count * itemsize(storage.dtype)
        if size != storage.size or size > len(buffer) - place - 8:
            raise InputError(f"{where}: storage {printable(key)} is cut off")
        storage.buffer, storage.place = buffer, place + 8
        storage.order = "<" if little else ">"
        place += 8 + size
    if place != len(buffer):
        raise InputError(f"{where}: {len(buffer) - place} bytes follow its storages")
    return tensors_of(content, buffer, where)
