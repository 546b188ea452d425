"""Read and write a recording: a directory of safetensors files and `manifest.json`.

Layout, format version 1:

    forward/manifest.json      what was recorded, under which conditions, and a seal per field
    forward/000.safetensors    shards of at most about 64 MiB, in the order of recording

`manifest["arrays"]` maps every array's name to its file, key, dtype and shape; arrays with equal
content are stored once and share a key. An array recorded as a sketch also says which shape and
dtype it stands for; so does a large one most of whose rows are zero (the gradient of an embedding),
of which the other rows and their numbers are stored. Names are free text; steps use `/` between
parts and `module#run.output.0` for the arrays of a module's run.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from modelparity.errors import InputError
from modelparity.sketch import sketch

FORMAT = 1
WRITTEN_BY = "modelparity 0.1"
SHARD_BYTES = 64 << 20
SPARSE_BYTES = 1 << 20  # of an array; smaller ones are stored as they are
DTYPES = frozenset(
    ["bool", "float16", "float32", "float64"]
    + [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
)

Array = np.ndarray[Any, Any]


def digest(value: object) -> str:
    """A short digest of plain data, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """The sha256 of a file's content."""
    sha256 = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha256.update(chunk)
    return sha256.hexdigest()


def tree_digest(path: Path) -> str:
    """A digest of a file, or of all files below a directory with their relative names."""
    if path.is_file():
        return file_digest(path)[:16]
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return digest([(p.relative_to(path).as_posix(), file_digest(p)) for p in files])


class Writer:
    """Writes one recording, shard by shard; nothing is readable before `finish`."""

    def __init__(self, directory: Path, header: Mapping[str, object]) -> None:
        self._directory = directory
        self._header = dict(header)
        self._arrays: dict[str, dict[str, object]] = {}
        self._stored: dict[str, tuple[str, str]] = {}  # content -> file, key
        self._shard: dict[str, Array] = {}
        self._shard_bytes = 0
        self._files: dict[str, dict[str, object]] = {}
        self.facts: dict[str, object] = {}
        directory.mkdir(parents=True)

    def add(self, name: str, array: Array, *, sketched: bool = False) -> None:
        """Record one array; `sketched` stores the sketch of a large one in its place.

        TypeError for what is neither a number nor a truth value of at most 64 bits.
        """
        if name in self._arrays:
            raise ValueError(f"{name} is recorded twice")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if str(array.dtype) not in DTYPES:
            raise TypeError(f"{name}: dtype {array.dtype} cannot be recorded")
        entry: dict[str, object] = {}
        if sketched:
            entry["stands_for"] = {"dtype": str(array.dtype), "shape": list(array.shape)}
            array = sketch(array)
        elif (filled := _filled_rows(array)) is not None:
            entry["stands_for"] = {"dtype": str(array.dtype), "shape": list(array.shape)}
            entry["rows"] = self._store(f"rows of {name}", filled)
            array = array[filled]
        self._arrays[name] = {**self._store(name, np.asarray(array, order="C")), **entry}
        if self._shard_bytes >= SHARD_BYTES:
            self._flush()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def array(self, name: str) -> Array:
        """What was stored for an array, which is not one with mostly empty rows."""
        file, key = (str(self._arrays[name][part]) for part in ("file", "key"))
        if file not in self._files:
            return self._shard[key]
        stored: Any = safe_open(self._directory / file, framework="numpy")
        array: Array = stored.get_tensor(key)
        return array

    def _store(self, key: str, array: Array) -> dict[str, object]:
        """Where an array lies, which is where an equal one lies already, if any does."""
        content = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
        content.update(array.tobytes())
        here = f"{len(self._files):03d}.safetensors", key
        file, stored = self._stored.setdefault(content.hexdigest(), here)
        if stored == key:
            self._shard[key] = array.copy()
            self._shard_bytes += array.nbytes
        return {
            "file": file,
            "key": stored,
            "dtype": str(array.dtype),
            "shape": list(array.shape),
        }

    def _flush(self) -> None:
        name = f"{len(self._files):03d}.safetensors"
        path = self._directory / name
        save_file(self._shard, path)
        self._files[name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        self._shard, self._shard_bytes = {}, 0

    def finish(self, **header: object) -> None:
        """Write what is left and the manifest; `header` adds fields known only at the end."""
        if self._shard:
            self._flush()
        manifest = {
            "format": FORMAT,
            "written_by": WRITTEN_BY,
            **self._header,
            **header,
            "facts": self.facts,
            "count": len(self._arrays),
            "arrays": self._arrays,
            "files": self._files,
        }
        manifest = json.loads(json.dumps(manifest))
        manifest["seal"] = {name: digest(value) for name, value in manifest.items()}
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        partial = self._directory / "manifest.json.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self._directory / "manifest.json")


def _filled_rows(array: Array) -> Array | None:
    """The numbers of the rows that are not zero, where they are few of many."""
    if array.ndim != 2 or array.nbytes < SPARSE_BYTES:
        return None
    bits = np.ascontiguousarray(array).view(np.uint8)  # -0.0 is kept
    filled = np.flatnonzero(bits.any(axis=1))
    return filled if filled.size <= len(array) // 2 else None


@dataclass(frozen=True)
class Recording:
    """A finished recording on disk; arrays are read when asked for."""

    directory: Path
    manifest: Mapping[str, Any]
    _open: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Plain data that the step recorded beside the arrays."""
        facts: Mapping[str, Any] = self.manifest["facts"]
        return facts

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All array names, in the order of recording."""
        return tuple(self.manifest["arrays"])

    def __contains__(self, name: str) -> bool:
        return name in self.manifest["arrays"]

    def below(self, prefix: str) -> tuple[str, ...]:
        """The names that start with `prefix`, without it."""
        return tuple(name[len(prefix) :] for name in self.names if name.startswith(prefix))

    def entry(self, name: str) -> Mapping[str, Any]:
        """dtype and shape of an array; for a sketch, of what it stands for."""
        entry: Mapping[str, Any] = self.manifest["arrays"][name]
        stands_for: Mapping[str, Any] | None = entry.get("stands_for")
        return entry if stands_for is None else stands_for

    def shapes(self, prefix: str) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays below `prefix`; for sketches, of what they stand for."""
        return {name: tuple(self.entry(prefix + name)["shape"]) for name in self.below(prefix)}

    def array(self, name: str) -> Array:
        """Read one array. InputError where the file does not hold what the manifest promises."""
        entry = self.manifest["arrays"][name]
        array = self._stored(name, entry)
        if "rows" not in entry:
            return array
        try:
            whole = np.zeros(self.entry(name)["shape"], array.dtype)
            whole[self._stored(name, entry["rows"])] = array
        except (LookupError, TypeError, ValueError, MemoryError):
            raise InputError(f"manifest field arrays: the rows of {name} do not fit") from None
        return whole

    def _stored(self, name: str, entry: Mapping[str, Any]) -> Array:
        try:
            file, key, dtype, shape = (entry[part] for part in ("file", "key", "dtype", "shape"))
        except (KeyError, TypeError):
            raise InputError(f"manifest field arrays: the entry of {name} is incomplete") from None
        try:
            if file not in self._open:
                self._open[file] = safe_open(self.directory / str(file), framework="numpy")
            array: Array = self._open[file].get_tensor(key)
        except (SafetensorError, OSError, LookupError, TypeError, AttributeError) as error:
            # The last two: the file holds a dtype that NumPy lacks, or the key is no text.
            raise InputError(f"{file}: {name} cannot be read: {error}") from None
        if str(array.dtype) != dtype or list(array.shape) != shape:
            raise InputError(f"{file}: {name} is not of the dtype and shape in the manifest")
        return array

    def identity(self) -> str:
        """A digest of everything in the recording, through the digests of its files."""
        return digest(self.manifest.get("seal"))


def read(directory: Path) -> Recording:
    """Open a recording. InputError says why it is none, or none that this release reads."""
    path = directory / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{directory.name}: there is no manifest.json") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{directory.name}/manifest.json cannot be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        writer = manifest.get("written_by") if isinstance(manifest, dict) else None
        raise InputError(
            f"{directory.name}/manifest.json: format {found} (written by {writer}) "
            f"is not format {FORMAT}, which this release reads"
        )
    return Recording(directory, manifest)


def broken_seals(recording: Recording) -> list[str]:
    """Manifest fields and files that are not as they were when the recording was finished."""
    manifest = recording.manifest
    seal = manifest.get("seal")
    if not isinstance(seal, dict):
        return ["manifest field seal"]
    broken = [f"manifest field {n}, which seal lists" for n in seal if n not in manifest]
    for name, value in manifest.items():
        if name not in seal and name != "seal":
            broken.append(f"manifest field {name}, which seal lacks")
        elif name != "seal" and seal[name] != digest(value):
            lost = ", ".join(_unlisted(recording)[:3]) if name == "arrays" else ""
            broken.append(f"manifest field {name}" + (f", which lacks {lost}" if lost else ""))
    for name, expected in _files(manifest).items():
        path = recording.directory / str(name)
        if not path.is_file():
            broken.append(f"file {name} (missing)")
        elif not isinstance(expected, dict) or file_digest(path) != expected.get("sha256"):
            broken.append(f"file {name}")
    return broken


def _files(manifest: Mapping[str, Any]) -> Mapping[str, object]:
    files = manifest.get("files")
    return files if isinstance(files, dict) else {}


def _unlisted(recording: Recording) -> list[str]:
    """Arrays that the files hold and the manifest does not name."""
    arrays = recording.manifest["arrays"]
    if not isinstance(arrays, dict):
        return []
    entries = [entry for entry in arrays.values() if isinstance(entry, dict)]
    listed = {(str(entry.get("file")), str(entry.get("key"))) for entry in entries}
    stored = []
    for file in _files(recording.manifest):
        with suppress(SafetensorError, OSError):
            opened: Any = safe_open(recording.directory / str(file), framework="numpy")
            stored += [key for key in opened.keys() if (str(file), key) not in listed]  # noqa: SIM118
    return stored
