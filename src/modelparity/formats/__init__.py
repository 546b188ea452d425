"""Named tensors of files and directories, told apart by their content; nothing in them is run.

safetensors   a file, or shards with their index
arrays        npy, npz; reprod_log's dictionaries in npy
checkpoints   PyTorch's, zip and legacy; PaddlePaddle's .pdparams and other pickled containers
pickles       how a pickle is read without running it; what it may name is in objects.py
sources       files mapped while they are used
"""

import contextlib
import gc
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.archives import Archive, entries
from modelparity.formats.arrays import HEAD, MAGIC, read_nested, read_npy, read_npz
from modelparity.formats.checkpoints import is_torch_zip, read_pickle, read_torch_zip
from modelparity.formats.pickles import is_pickle
from modelparity.formats.printing import escaped, printable
from modelparity.formats.safetensors import is_safetensors, parsed, read_index, read_safetensors
from modelparity.formats.sources import Buffer, mapped
from modelparity.formats.tensor import Chunks, Tensor
from modelparity.formats.tree import ALONE, LONGEST

__all__ = ["Chunks", "Tensor", "open_nested", "open_tensors", "printable"]

# Files of a directory that must hold tensors; what has another ending is read if it does.
EXPECTED = {".safetensors", ".npy", ".npz", ".pt", ".pth", ".bin", ".ckpt", ".pdparams", ".pdopt"}
INDEX = ".index.json"
LARGEST_INDEX = 1 << 26  # bytes
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # with members, without


def open_tensors(path: Path) -> Mapping[str, Tensor]:
    """The named tensors of a file or a directory. Only headers are read.

    A file's single array without a name is called `array`. Of a directory with several files each
    name begins with its file's, without the ending, and a slash. InputError says what is wrong and
    where.
    """
    path = Path(path)
    with _uncollected():
        if path.is_dir():
            return _directory(path)
        found = _file(path)
        if found is None and _is_index(mapped(path)()):
            found = _shards(path)
        return _known(found, path)


def open_nested(path: Path) -> Mapping[Any, Any]:
    """The same of `reprod_log`'s dictionaries within dictionaries, as they were saved.

    Of other formats what `open_tensors` finds.
    """
    path = Path(path)
    if not path.is_dir():
        source = mapped(path)
        if bytes(source()[:6]) == MAGIC:
            with _uncollected():
                found = read_nested((source, 0, len(source())), escaped(str(path)))
            if found is not None:
                return found
    return open_tensors(path)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing made here refers to itself, and looking for it takes half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _known(found: Mapping[str, Tensor] | None, path: Path) -> Mapping[str, Tensor]:
    if found is None:
        what = "it is no file of tensors: none of the known formats begins so"
        raise InputError(f"{escaped(str(path))}: {what}")
    long = next((name for name in found if len(name) > LONGEST), None)
    if long is not None:
        what = f"{printable(long)} has more than {LONGEST:,} characters"
        raise InputError(f"{escaped(str(path))}: {what}")
    return found


def _file(path: Path) -> Mapping[str, Tensor] | None:
    """The tensors of a file, or None for one of no format."""
    source, where = mapped(path), escaped(str(path))
    buffer = source()
    head = bytes(buffer[:16])
    if head.startswith(MAGIC):
        return read_npy(bytes(buffer[:HEAD]), (source, 0, len(buffer)), where)
    if head.startswith(ZIP):
        archive = Archive(path, source)
        return read_torch_zip(archive) if is_torch_zip(archive.names()) else read_npz(archive)
    if is_safetensors(head):
        return read_safetensors(source, where)
    return read_pickle(source, where) if is_pickle(head) else None


def _is_index(buffer: Buffer) -> bool:
    if len(buffer) > LARGEST_INDEX or not bytes(buffer[:64]).lstrip().startswith(b"{"):
        return False
    return buffer.find(b'"weight_map"') >= 0


def _listed(path: Path) -> dict[str, list[str]]:
    """The names of each shard of an index."""
    return read_index(parsed(bytes(mapped(path)()[:]), escaped(str(path))), path)


def _shards(path: Path) -> dict[str, Tensor]:
    """What the shards of an index hold, and nothing that it does not list."""
    found: dict[str, Tensor] = {}
    for shard, names in _listed(path).items():
        held = _known(_file(path.parent / shard), path.parent / shard)
        if set(held) != set(names):
            name = min(set(held) ^ set(names))
            side = "lacks" if name in names else "holds, unlisted in its index,"
            where = escaped(str(path.parent / shard))
            raise InputError(f"{where}: it {side} {printable(name)}")
        found |= held
    return found


def _directory(path: Path) -> Mapping[str, Tensor]:
    parts: dict[Path, Mapping[str, Tensor]] = {}
    sharded: set[Path] = set()
    files = sorted(_files(path))
    for file in files:
        if file.name.endswith(INDEX) and _is_index(mapped(file)()):
            sharded |= {file, *(file.parent / shard for shard in _listed(file))}
            parts[file] = _shards(file)
    for file in files:
        if file not in sharded and (file.suffix in EXPECTED or _begins_as_tensors(file)):
            parts[file] = _known(_file(file), file)
    if not parts:
        raise InputError(f"{escaped(str(path))}: no file in it holds tensors")
    if len(parts) == 1:
        return next(iter(parts.values()))
    found: dict[str, Tensor] = {}
    for file, tensors in parts.items():
        for name, tensor in tensors.items():
            full = _inside(path, file, name)
            if full in found:
                what = f"{printable(full)} stands in two of its files"
                raise InputError(f"{escaped(str(path))}: {what}: compare one file")
            found[full] = tensor
    return found


def _files(path: Path) -> Iterator[Path]:
    """The files below a directory that are not hidden.

    InputError for links to directories, so that nothing is left out in silence, and no loop runs.
    """

    def refuse(error: OSError) -> None:
        where = escaped(str(error.filename))
        raise InputError(f"{where}: it cannot be read: {error.strerror}")

    for place, folders, names in os.walk(path, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for folder in (Path(place) / name for name in folders):
            if folder.is_symlink():  # it may lead anywhere, back here too
                what = "it is a link to a directory, which is not followed: name what it leads to"
                raise InputError(f"{escaped(str(folder))}: {what}")
        for file in (Path(place) / name for name in names if not name.startswith(".")):
            # What is no file, or leads nowhere, is left out only if no tensors are expected in it.
            if file.is_file() or file.suffix in EXPECTED or not file.exists():
                yield file


def _begins_as_tensors(file: Path) -> bool:
    """Whether a file begins as one of tensors does; a text or a picture does not."""
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        where = escaped(str(file))
        raise InputError(f"{where}: it cannot be read: {error.strerror}") from None
    if head.startswith(ZIP):
        names = [entry.filename for entry in entries(file)]
        return is_torch_zip(names) or any(name.endswith(".npy") for name in names)
    return head.startswith(MAGIC) or is_safetensors(head) or is_pickle(head)


def _inside(directory: Path, file: Path, name: str) -> str:
    named = file.with_name(file.name.removesuffix(INDEX))
    place = named.relative_to(directory).with_suffix("").as_posix()
    return place if name == ALONE else f"{place}/{name}"
