"""Independent trainings of step 10, one recording a seed: in a side's own process, and resumable.

Started as `python -m modelparity.seeds` by the command line, once or more often a side. A seed that
lies in the side's recordings, from the same code, settings, inputs, weights and versions, is not
trained again.
"""

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from modelparity import process, record
from modelparity.cases import load_case, load_fault, resolve_settings
from modelparity.crew import Crew, Progress
from modelparity.errors import InputError, UsageError
from modelparity.model import Case, Fault
from modelparity.recording import broken_seals, digest, file_digest, read
from modelparity.run import SideOrder, processes, side_by_side
from modelparity.steps import equivalence
from modelparity.unfinished import leaving_nothing, put_in_place
from modelparity.witness import is_library, is_own


def wanted(case: Case, changes: tuple[str, ...]) -> int:
    """How many seeds the settings ask for; 0 where the case has no such setting."""
    given = dict(change.partition("=")[::2] for change in changes)
    text = given.get(equivalence.SETTING, case.settings.get(equivalence.SETTING, 0))
    try:
        count = int(text)
    except ValueError:
        raise UsageError(f"--set {equivalence.SETTING}={text}: expected a whole number") from None
    if count < 0:
        raise UsageError(f"--set {equivalence.SETTING}={count}: expected 0 or more")
    return count


def train(orders: list[SideOrder], count: int, progress: Progress) -> None:
    """Train seeds 1 to `count` of these sides, side by side as far as there are cores.

    The sides' steps are recorded, and a candidate's order names its reference. Errors as of
    `record_side`.
    """
    at_once = min(processes(order.out) for order in orders)
    workers = max(1, at_once // len(orders))  # a side
    for order in orders:  # what a killed worker left
        for left in (order.out / equivalence.NAME).glob(".*.partial-*"):
            shutil.rmtree(left, ignore_errors=True)
    jobs = [
        replace(order, seeds=tuple(range(first, count + 1, workers)))
        for first in range(1, min(workers, count) + 1)
        for order in orders
    ]
    side_by_side(Crew(progress), jobs, at_once)


def record_seeds(
    case: Case,
    role: str,
    module: str,
    out: Path,
    *,
    given: Path | None,
    numbers: tuple[int, ...],
    changes: Mapping[str, str],
    fault: Fault | None = None,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> None:
    """Train these seeds of a side into its recordings `out`, each as soon as it is done."""
    out = out.resolve()
    settings = resolve_settings(case, changes, out / "inputs")
    recorder, witness, environment = record.begun(case, role, module, settings, fault, progress)
    recorder = replace(recorder, directory=out, given=given or out)
    weights = equivalence.weights(given or out)
    packages = {name.partition(".")[0] for name in (case.reference, case.candidate, module)}
    base = int(settings.get("seed", 0))
    for number in numbers:
        seeded = {**settings, "seed": base + number}
        plain = {k: v for k, v in seeded.items() if k != equivalence.SETTING}
        about = {
            **record.header(case, role, plain, environment),
            "module": module,
            "fault": fault.name if fault else "",
            "weights": weights,
        }
        place = out / equivalence.NAME / f"{number:04d}"
        if _stands(place, about):
            continue
        partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
        with record.settled(), leaving_nothing(partial):
            place.parent.mkdir(exist_ok=True)
            record.record_step(
                replace(recorder, settings=MappingProxyType(seeded)),
                equivalence,
                partial,
                about,
                witness,
                late=lambda: {"sources": _sources(packages)},
            )
            put_in_place(partial, place)


def _sources(packages: set[str]) -> dict[str, str]:
    """Module -> digest of its file, for every loaded one of these packages or of no library."""
    found = {}
    for name, loaded in sorted(sys.modules.items()):
        file = getattr(loaded, "__dict__", {}).get("__file__")
        if not isinstance(file, str) or is_own(file) or not Path(file).is_file():
            continue
        if name.partition(".")[0] in packages or not is_library(file):
            found[name] = file_digest(Path(file))
    return found


def _stands(place: Path, header: Mapping[str, object]) -> bool:
    """Whether a seed was trained before, in the same way by the same code."""
    try:
        recording = read(place)
    except InputError:
        return False
    manifest = recording.manifest
    if manifest.get("complete") is not True or broken_seals(recording):
        return False
    if any(digest(manifest.get(key)) != digest(value) for key, value in header.items()):
        return False
    code = manifest.get("sources")
    return isinstance(code, dict) and all(_same(name, code[name]) for name in code)


def _same(name: str, expected: object) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        loaded = sys.modules.get(name)
        file = getattr(loaded, "__file__", None)
        return isinstance(file, str) and file_digest(Path(file)) == expected
    return bool(spec and spec.origin and file_digest(Path(spec.origin)) == expected)


def _obey(
    options: argparse.Namespace,
    progress: Callable[[str, int, int], None],
    _ready: Callable[[], None],
) -> None:
    case: Case = load_case(options.case)
    module = options.module or getattr(case, options.side)
    changes: dict[str, str] = dict(change.partition("=")[::2] for change in options.changes)
    progress(f"loading {module}", 0, 0)
    record_seeds(
        case,
        options.side,
        module,
        options.out,
        given=options.given,
        numbers=tuple(map(int, options.seeds.split(","))),
        changes=changes,
        fault=load_fault(case, options.fault) if options.fault else None,
        progress=progress,
    )


if __name__ == "__main__":
    sys.exit(process.main(channel=process.private_output(), obey=_obey))
