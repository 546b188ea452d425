"""In a side's own process: side + adapter -> its recordings.

Started as `python -m modelparity.record` by the command line; imports the side, and through it a
framework. What it says goes to standard output as one JSON object a line; what a side prints goes
to standard error.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, TextIO, cast

from modelparity.adapters import REQUIRED, Adapter
from modelparity.cases import load_case, load_fault, resolve_settings
from modelparity.errors import InputError, ParityError, UnreachableDropout, UsageError
from modelparity.model import Case, Fault
from modelparity.recording import Writer, digest, tree_digest
from modelparity.steps import START, STEPS
from modelparity.steps.recorder import MissingFunction, NotGiven, Recorder
from modelparity.unfinished import leaving_nothing, put_in_place, unfinished
from modelparity.witness import Witness, is_library, is_own

FUNCTIONS = (
    "build_model",
    "forward",
    "sample_batches",
    "training_batches",
    "evaluation_batches",
    "evaluate",
    "build_optimizer",
    "update",
)


def record(
    case: Case,
    role: str,
    module: str,
    out: Path,
    *,
    given: Path | None,
    steps: tuple[int, ...],
    changes: Mapping[str, str],
    fault: Fault | None = None,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
    partial: Path | None = None,
) -> None:
    """Record the requested steps of one side into `out`, which appears only when all is written.

    `partial` is where it is written until then. `progress` hears of each step as it begins, with
    two zeros, then of the parts done and their number.
    Raises UsageError or InputError for a side, setting or input that cannot be used, and for an
    `out` that holds anything but recordings.
    """
    replaceable(out, given)
    if given is not None and not any(given.glob("*/manifest.json")):
        raise InputError(f"{given}: there are no recordings in it; name the reference's")
    out = out.resolve()
    partial = partial or unfinished(out)
    with leaving_nothing(partial):
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{out.parent}: cannot be written to: {error.strerror}") from None
        settings = resolve_settings(case, changes, partial / "inputs")
        functions, adapter = _load_side(module, fault)
        environment = {
            **adapter.versions(),
            **adapter.start(threads=int(settings.get("threads", 0))),
        }
        header = _header(case, role, settings, environment)
        recorder = Recorder(
            case=case,
            role=role,
            functions=functions,
            adapter=adapter,
            settings=MappingProxyType(settings),
            directory=partial,
            given=given or partial,
            writer=None,  # type: ignore[arg-type]  # each step gets its own
            progress=progress,
        )
        witness = Witness((case.reference, case.candidate, module), case.shared)
        for step in [START] + [step for step in STEPS if step.NUMBER in steps]:
            progress(f"recording {step.NAME}", 0, 0)
            _record_step(recorder, step, header, witness)
        put_in_place(partial, out)


def replaceable(out: Path, given: Path | None) -> None:
    """Recording replaces `out`: UsageError where that would destroy anything else."""
    if not out.exists():
        return
    if given is not None and given.exists() and out.samefile(given):
        raise UsageError(f"--out {out}: these recordings are given; name another directory")
    known = {"inputs", START.NAME, *(step.NAME for step in STEPS)}
    if not (out.is_dir() and known.issuperset(path.name for path in out.iterdir())):
        raise UsageError(
            f"--out {out}: it holds something other than recordings; name another directory"
        )


def _record_step(
    recorder: Recorder, step: ModuleType, header: Mapping[str, object], witness: Witness
) -> None:
    """Record one step; what the side cannot do makes it incomplete, with the reason."""
    recorder.writer = Writer(recorder.directory / step.NAME, {**header, "step": step.NAME})
    recorder.given_identities.clear()
    problem = ""
    try:
        with witness.watching() as ran, recorder.adapter.precision("float32"):
            step.record(recorder)
    except (MissingFunction, NotGiven, UnreachableDropout) as error:
        problem = str(error)
    except ParityError:
        raise
    except Exception as error:
        problem = f"the {recorder.role} side failed: {_in_short(error)}"
    recorder.writer.finish(
        given=dict(recorder.given_identities),
        functions=sorted(ran),
        complete=not problem,
        problem=problem,
    )


def _in_short(error: BaseException) -> str:
    """One line: what was raised, and the innermost place in code of the user's.

    All of it goes to standard error where MODELPARITY_TRACEBACK is set.
    """
    if os.environ.get("MODELPARITY_TRACEBACK"):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not (f.filename.startswith("<") or is_library(f.filename))]
    own = [f for f in own if not is_own(f.filename)]
    place = f" ({_shown(own[-1].filename)}:{own[-1].lineno}, in {own[-1].name})" if own else ""
    first_line = (str(error).strip().splitlines() or [""])[0]
    return ": ".join(filter(None, (type(error).__name__, first_line))) + place


def _shown(file: str) -> str:
    """A file as seen from the current directory; by its name where it lies elsewhere."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def _header(
    case: Case, role: str, settings: Mapping[str, object], environment: Mapping[str, str]
) -> dict[str, object]:
    plain = {key: value for key, value in settings.items() if key not in case.paths}
    paths = [(key, settings[key]) for key in case.paths if settings.get(key)]
    return {
        "case": case.name,
        "side": role,
        "settings": plain,
        "inputs": {key: tree_digest(Path(str(path))) for key, path in paths},
        "terms": {
            "rules": [asdict(rule) for rule in case.rules],
            "unpaired": dict(case.unpaired),
            "mask": case.mask,
            "splits": list(case.splits),
            "variants": {k: [dict(v) for v in vs] for k, vs in case.variants.items()},
            "shared": list(case.shared),
        },
        "presentation": {
            "aliases": {str(k): dict(v) for k, v in case.aliases.items()},
            "published": {
                str(k): v if isinstance(v, str) else dict(v) for k, v in case.published.items()
            },
        },
        "environment": dict(environment),
        "rounding": digest(sorted(environment.items())),
    }


def _load_side(module: str, fault: Fault | None) -> tuple[dict[str, Callable[..., Any]], Adapter]:
    side = _imported(f"side {module}", module)
    name = getattr(side, "ADAPTER", None)
    if not isinstance(name, str):
        raise UsageError(f"side {module}: it does not say its ADAPTER (see docs/sides.md)")
    adapter = _imported(f"adapter {name} of side {module}", name)
    lacking = [name for name in REQUIRED if not hasattr(adapter, name)]
    if lacking:
        raise UsageError(f"adapter {name}: it lacks {', '.join(lacking)}")
    functions = {name: getattr(side, name) for name in FUNCTIONS if hasattr(side, name)}
    if fault:
        functions.update(fault.override(MappingProxyType(dict(functions))))
    return functions, cast(Adapter, adapter)


def _imported(what: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what}: there is no module {error.name}; is it installed?") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what}: it cannot be imported: {_in_short(error)}") from None


def main(arguments: list[str] | None = None, channel: TextIO = sys.stdout) -> int:
    """The entry point of a side's process. Exit codes: 0 recorded, 2 cannot be used."""
    parser = argparse.ArgumentParser(prog="modelparity.record")
    parser.add_argument("case")
    parser.add_argument("--side", choices=("reference", "candidate"), required=True)
    parser.add_argument("--module", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--given", type=Path)
    parser.add_argument("--steps", default="1,2,3,4,5,6,7,8,9,10")
    parser.add_argument("--fault", default="")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--partial", type=Path)
    parser.add_argument("--look", action="store_true", help="only load what is given")
    options = parser.parse_args(arguments)

    def tell(**message: object) -> None:
        print(json.dumps(message), file=channel, flush=True)

    try:
        _obey(options, lambda text, done, total: tell(text=text, done=done, total=total))
    except ParityError as error:
        tell(error=str(error))
        return 2
    except (Exception, SystemExit) as error:
        tell(error=f"the {options.side} side's process failed: {_in_short(error)}")
        return 2
    tell(finished=True)
    return 0


def _obey(options: argparse.Namespace, progress: Callable[[str, int, int], None]) -> None:
    case = load_case(options.case)
    module = options.module or getattr(case, options.side)
    fault = load_fault(case, options.fault) if options.fault else None
    changes = dict(change.partition("=")[::2] for change in options.changes)
    progress(f"loading {module}", 0, 0)
    if options.look:
        with tempfile.TemporaryDirectory() as directory:
            resolve_settings(case, changes, Path(directory) / "inputs")
        _load_side(module, fault)
        return
    record(
        case,
        options.side,
        module,
        options.out,
        given=options.given,
        steps=tuple(map(int, options.steps.split(","))),
        changes=changes,
        fault=fault,
        progress=progress,
        partial=options.partial,
    )


def _private_output() -> TextIO:
    """Standard output for this module alone: whatever else is printed becomes standard error.

    Workers that a side forks do not keep it open, or nobody would notice the side's own end.
    """
    channel = os.dup(1)
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: os.close(channel))
    return os.fdopen(channel, "w", encoding="utf-8", closefd=False)


if __name__ == "__main__":
    sys.exit(main(channel=_private_output()))
