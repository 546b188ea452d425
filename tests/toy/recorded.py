"""Record the toy's sides in this process, and spoil what was recorded."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import load_file, save_file

from modelparity.cases import load_case
from modelparity.check import ALL_STEPS
from modelparity.record import record, record_beside
from modelparity.recording import digest, file_digest
from modelparity.steps import BESIDE


@dataclass(frozen=True)
class Sides:
    """Two directories of recordings that face each other."""

    reference: Path
    candidate: Path

    def copy(self, directory):
        return Sides(
            shutil.copytree(self.reference, directory / "reference"),
            shutil.copytree(self.candidate, directory / "candidate"),
        )


def record_side(
    role, out, *, module="", given=None, steps=ALL_STEPS, fault=None, case=None, **changes
):
    """Record one side; `changes` are settings."""
    case, module = case or load_case("toy"), module or f"toy.{role}"
    how = {"changes": changes, "fault": fault}
    record(case, role, module, out, given=given, steps=steps, **how)
    names = tuple(part.NAME for step in steps for part in BESIDE.get(step, ()))
    if role == "reference" and names:
        record_beside(case, module, out, names=names, **how)
    return out


def record_both(out, *, reference="", candidate="", **how):
    """Record both sides, the candidate from what the reference recorded."""
    first = record_side("reference", out / "reference", module=reference, **how)
    second = record_side("candidate", out / "candidate", module=candidate, given=first, **how)
    return Sides(first, second)


@contextmanager
def kept(*paths):
    """Put these files back afterwards, as new files: the old may still be mapped into memory."""
    before = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            replace(path, content)


def replace(path, content):
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def put_right(directory, original):
    """Make the files of a directory those of another again."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_file() and not (original / path.relative_to(directory)).is_file():
            path.unlink()
    for path in original.rglob("*"):
        copied = directory / path.relative_to(original)
        if path.is_file() and not (copied.is_file() and copied.read_bytes() == path.read_bytes()):
            replace(copied, path.read_bytes())


def manifest_of(directory):
    return json.loads((directory / "manifest.json").read_text(encoding="utf-8"))


def write_manifest(directory, manifest, *, sealed=False):
    """Write a manifest; `sealed`, as a recorder would have sealed it."""
    if sealed:
        rest = {name: value for name, value in manifest.items() if name != "seal"}
        manifest = {**rest, "seal": {name: digest(value) for name, value in rest.items()}}
    replace(directory / "manifest.json", json.dumps(manifest).encode())


def change_file(path, change):
    """Let `change` edit the arrays of a safetensors file in place; the manifest stays."""
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    change(arrays)
    path.unlink()
    save_file(arrays, path)


def add_arrays(directory, arrays):
    """Record arrays (anew), as if the side had computed them: every seal holds afterwards."""
    manifest = manifest_of(directory)
    path = directory / "added.safetensors"
    path.unlink(missing_ok=True)
    save_file(arrays, path)
    for name, array in arrays.items():
        before = manifest["arrays"].get(name, {})
        manifest["arrays"][name] = {
            **{key: value for key, value in before.items() if key == "stands_for"},
            "file": path.name,
            "key": name,
            "dtype": str(array.dtype),
            "shape": list(array.shape),
        }
    manifest["files"][path.name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    manifest["count"] = len(manifest["arrays"])
    write_manifest(directory, manifest, sealed=True)


def leave_out(directory, names):
    """Leave arrays out, as if the side had never recorded them: every seal holds afterwards."""
    manifest = manifest_of(directory)
    for name in names:
        del manifest["arrays"][name]
    manifest["count"] = len(manifest["arrays"])
    write_manifest(directory, manifest, sealed=True)
