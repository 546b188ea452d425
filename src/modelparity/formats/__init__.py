"""Named tensors of files and directories, told apart by their content; nothing in them is run.

safetensors   a file, or shards with their index
arrays        npy, npz; reprod_log's dictionaries in npy
checkpoints   PyTorch's, zip and legacy; PaddlePaddle's .pdparams and other pickled containers
pickles       how a pickle is read without running it; what it may name is in objects.py
"""

import os
from collections.abc import Mapping
from pathlib import Path

from modelparity.errors import InputError
from modelparity.formats.archives import Archive
from modelparity.formats.arrays import MAGIC, read_npy, read_npz
from modelparity.formats.checkpoints import is_torch_zip, read_pickle, read_torch_zip
from modelparity.formats.pickles import is_pickle
from modelparity.formats.printing import printable
from modelparity.formats.safetensors import is_safetensors, parsed, read_index, read_safetensors
from modelparity.formats.tensor import Buffer, Chunks, Tensor, mapped
from modelparity.formats.tree import ALONE

__all__ = ["Chunks", "Tensor", "open_tensors", "printable"]

# Files of a directory that must hold tensors; what has another ending is read if it does.
EXPECTED = {".safetensors", ".npy", ".npz", ".pt", ".pth", ".bin", ".ckpt", ".pdparams", ".pdopt"}
LARGEST_INDEX = 1 << 28  # bytes


def open_tensors(path: Path) -> Mapping[str, Tensor]:
    """The named tensors of a file or a directory. Only headers are read.

    A file's single array without a name is called `array`. Of a directory with several files each
    name begins with its file's, without the ending, and a slash. InputError says what is wrong and
    where.
    """
    path = Path(path)
    if path.is_dir():
        return _directory(path)
    found = _file(path)
    if found is None:
        raise InputError(f"{path}: it is no file of tensors: none of the known formats begins so")
    return found


def _file(path: Path) -> Mapping[str, Tensor] | None:
    """The tensors of a file, or None for one of no format."""
    buffer = mapped(path)
    head = bytes(buffer[:16])
    where = str(path)
    if head.startswith(MAGIC):
        return read_npy(buffer, where)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        archive = Archive(path, buffer)
        return read_torch_zip(archive) if is_torch_zip(archive.names()) else read_npz(archive)
    if is_safetensors(head):
        return read_safetensors(buffer, where)
    if is_pickle(head):
        return read_pickle(buffer, where)
    return _shards(path, buffer) if _is_index(buffer) else None


def _is_index(buffer: Buffer) -> bool:
    start = bytes(buffer[:LARGEST_INDEX]).lstrip() if len(buffer) <= LARGEST_INDEX else b""
    return start.startswith(b"{") and b'"weight_map"' in start


def _shards(path: Path, buffer: Buffer) -> dict[str, Tensor]:
    """What the shards of an index hold, and nothing that it does not list."""
    content = parsed(bytes(buffer), str(path))
    found: dict[str, Tensor] = {}
    for shard, names in read_index(content, path).items():
        held = _file(path.parent / shard) or {}
        if set(held) != set(names):
            name = printable(min(set(held) ^ set(names)))
            side = "lacks" if name in names else "holds, unlisted in its index,"
            raise InputError(f"{path.parent / shard}: it {side} {name}")
        found |= held
    return found


def _directory(path: Path) -> Mapping[str, Tensor]:
    files = sorted(
        Path(place) / name
        for place, _, names in os.walk(path)
        for name in names
        if not name.startswith(".")
    )
    parts: dict[Path, Mapping[str, Tensor]] = {}
    sharded: set[Path] = set()
    for file in files:
        if file.name.endswith(".index.json"):
            buffer = mapped(file)
            if _is_index(buffer):
                listed = read_index(parsed(bytes(buffer), str(file)), file)
                sharded |= {file.parent / shard for shard in listed}
                parts[file.with_name(file.name.removesuffix(".index.json"))] = _shards(file, buffer)
    for file in files:
        if file in sharded or file in parts or not file.is_file():
            continue
        found = _file(file) if file.suffix in EXPECTED or _known(file) else None
        if found is None and file.suffix in EXPECTED:
            raise InputError(
                f"{file}: it is no file of tensors: none of the known formats begins so"
            )
        if found is not None:
            parts[file] = found
    if not parts:
        raise InputError(f"{path}: no file in it holds tensors")
    if len(parts) == 1:
        return next(iter(parts.values()))
    return {
        _inside(path, file, name): tensor
        for file, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def _known(file: Path) -> bool:
    """Whether a file begins as one of tensors does; a text or a picture does not."""
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
    except OSError:
        return False
    return head.startswith(MAGIC) or is_safetensors(head) or is_pickle(head)


def _inside(directory: Path, file: Path, name: str) -> str:
    place = file.relative_to(directory).with_suffix("").as_posix()
    return place if name == ALONE else f"{place}/{name}"
