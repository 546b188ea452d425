"""What the tools in use would have said of arrays that the ladder recorded.

    python benchmarks/peers.py [--out DIR] [--python PATH] [--json]

`faults.py` dumps, for every planted fault, what the guides of these tools tell a user to dump, in
float32, and asks each tool here by its own code (peer_tools.py). A tool stands in the table twice:
as it is usually set, and *at its best*, which is more than any user has: more kinds of dump, every
statistic that it offers, each with the tightest threshold for each kind that accuses no clean port.
Run by itself this script asks again about the dumps that faults.py left in DIR.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peer_tools import GRID, TOOLS

from modelparity import Rule
from modelparity.layout import to_reference
from modelparity.pairing import pair
from modelparity.recording import Recording, read

Arrays = dict[str, np.ndarray[Any, Any]]
BEST = "at best"
CASES = "cases.json"
CLEAN = "clean"  # the names of clean ports begin so

# Kind of dump -> the ladder's recording, and which of its arrays. Sketches stand for large arrays
# of the last three: differences keep their root mean square, not their largest element.
KINDS: Mapping[str, tuple[str, Callable[[str, int], bool]]] = {
    "outputs": ("forward", lambda name, _: name.startswith("float32/") and "#" not in name),
    "evaluation data": ("evaluation_data", lambda _, __: True),
    "metrics": ("metrics", lambda name, axes: name.startswith("float32/") and axes == 0),
    "rates": ("learning_rate", lambda name, _: "rate/" in name),
    "losses": ("backward", lambda name, _: name == "float32/training/loss"),
    "training data": ("training_data", lambda _, __: True),
    "scores": ("training", lambda name, axes: name.startswith("float32/score/") and axes == 0),
    "weights": ("model", lambda name, _: name.startswith("parameter/")),
    "gradients": ("backward", lambda name, _: name.startswith("float32/gradient/")),
    "trained weights": ("backward", lambda name, _: name.startswith("float32/trained/")),
}
# What the tools' guides tell a user to dump and compare with their usual settings; padiff looks at
# gradients and at updated weights too. At its best every tool is given all kinds.
GUIDED = ("outputs", "evaluation data", "metrics", "rates", "losses", "training data", "weights")
MORE: Mapping[str, tuple[str, ...]] = {"padiff": ("gradients", "trained weights")}


@dataclass(frozen=True)
class Column:
    """One tool with its settings: per case the kinds of dump by which it accuses; or why none."""

    tool: str
    settings: str
    accused: Mapping[str, tuple[str, ...]]
    version: str = ""
    absent: str = ""


def dump(reference: Path, candidate: Path, place: Path) -> dict[str, tuple[str, str]]:
    """Write both sides' dumps into `place`, by content; kind -> (reference's file, candidate's)."""
    place.mkdir(parents=True, exist_ok=True)
    ours, theirs = _gathered(reference), _gathered(candidate, reference)
    return {
        kind: (_stored(ours[kind], place), _stored(theirs[kind], place))
        for kind in KINDS
        if ours[kind] or theirs[kind]
    }


def _gathered(directory: Path, reference: Path | None = None) -> dict[str, Arrays]:
    """Per kind the arrays of one side; weights in the names and layout of the reference."""
    found: dict[str, Arrays] = {}
    for kind, (step, wanted) in KINDS.items():
        recording = read(directory / step)
        arrays = {
            name: _as_dumped(name, recording.array(name))
            for name in recording.names
            if wanted(name, len(recording.entry(name)["shape"]))
        }
        if kind == "weights" and reference is not None:
            arrays = _laid_out(arrays, read(reference / step))
        found[kind] = arrays
    return found


def _as_dumped(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Losses of float32 runs are float32 values: so a user would have dumped them."""
    return array.astype(np.float32) if name.endswith("training/loss") else array


def _laid_out(arrays: Arrays, ours: Recording) -> Arrays:
    def names(value: Any) -> Any:
        return value if isinstance(value, str) else tuple(value)

    rules = [
        Rule(names(r["reference"]), names(r["candidate"]), r["transpose"], r["axis"])
        for r in ours.manifest["terms"]["rules"]
    ]
    start = "parameter/"
    shapes = {n: tuple(ours.entry(start + n)["shape"]) for n in ours.below(start)}
    bare = {name.removeprefix(start): array for name, array in arrays.items()}
    laid = to_reference(pair(shapes, bare, rules), bare, shapes)
    return {start + name: array for name, array in laid.items()}


def _stored(arrays: Arrays, place: Path) -> str:
    """The name of the file that holds exactly these arrays."""
    content = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        content.update(f"{name} {array.dtype} {array.shape} ".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    path = place / f"{content.hexdigest()[:24]}.npz"
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=place, suffix=".unfinished", delete=False) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        Path(file.name).replace(path)
    return path.name


def ask(
    cases: Mapping[str, Mapping[str, tuple[str, str]]], place: Path, python: str
) -> list[Column]:
    """Every tool's columns, in the order of TOOLS; the clean cases give the best thresholds."""
    pairs = sorted({tuple(files) for kinds in cases.values() for files in kinds.values()})
    columns: list[Column] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each is a process of its own
        asked = list(pool.map(lambda tool: _answers(tool, pairs, place, python), TOOLS))
    for tool, found in zip(TOOLS, asked, strict=True):
        if "answers" not in found:
            why = "not installed" if "missing" in found else f"does not run: {found['broken']}"
            columns.append(Column(tool, "", {}, found.get("version", ""), why))
            continue
        answers = dict(zip(pairs, found["answers"], strict=True))
        columns += _columns(tool, found["version"], cases, answers)
    return columns


def _answers(tool: str, pairs: list[Any], place: Path, python: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        jobs, out = Path(scratch) / "jobs.json", Path(scratch) / "answers.json"
        paths = [[str((place / name).resolve()) for name in files] for files in pairs]
        jobs.write_text(json.dumps(paths), encoding="utf-8")
        script = Path(__file__).with_name("peer_tools.py")
        command = [python, str(script), tool, str(jobs), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not out.exists():
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            return {"broken": last}
        return dict(json.loads(out.read_text(encoding="utf-8")))


def _columns(
    tool: str,
    version: str,
    cases: Mapping[str, Mapping[str, tuple[str, str]]],
    answers: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Iterator[Column]:
    """A column per usual setting, and the one at best."""
    told = {
        case: {kind: answers[tuple(files)] for kind, files in kinds.items()}  # type: ignore[index]
        for case, kinds in cases.items()
    }
    guided = {*GUIDED, *MORE.get(tool, ())}
    for setting in next(iter(answers.values()))["usual"]:
        accused = {
            case: tuple(k for k in kinds if k in guided and not kinds[k]["usual"][setting])
            for case, kinds in told.items()
        }
        yield Column(tool, setting, accused, version)
    best = thresholds([kinds for case, kinds in told.items() if case.startswith(CLEAN)])
    accused = {
        case: tuple(
            kind
            for kind, found in kinds.items()
            if any(n > best.get((kind, knob), len(GRID)) for knob, n in found["tightest"].items())
        )
        for case, kinds in told.items()
    }
    yield Column(tool, BEST, accused, version)


def thresholds(clean: list[Mapping[str, Mapping[str, Any]]]) -> dict[tuple[str, str], int]:
    """(kind, knob) -> the place in GRID of the tightest threshold that accuses no clean case."""
    best: dict[tuple[str, str], int] = {}
    for kinds in clean:
        for kind, found in kinds.items():
            for knob, place in found["tightest"].items():
                best[kind, knob] = max(place, best.get((kind, knob), 0))
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/faults/dumps"))
    parser.add_argument("--python", default=sys.executable, help="an interpreter with the tools")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    given = parser.parse_args()
    index = given.out / CASES
    if not index.exists():
        print(f"peers: {index}: no such file; run benchmarks/faults.py first", file=sys.stderr)
        return 2
    cases = json.loads(index.read_text(encoding="utf-8"))
    columns = ask(cases, given.out, given.python)
    for column in columns:
        faults = [kinds for case, kinds in column.accused.items() if not case.startswith(CLEAN)]
        clean = [kinds for case, kinds in column.accused.items() if case.startswith(CLEAN)]
        said = column.absent or (
            f"{sum(map(bool, faults))} of {len(faults)} faults,"
            f" {sum(map(bool, clean))} of {len(clean)} clean ports accused"
        )
        print(f"{column.tool:12} {column.version:8} {column.settings:14} {said}")
    if given.json:
        print(json.dumps([vars(column) for column in columns]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
