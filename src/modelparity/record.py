"""In a side's own process: side + adapter -> its recordings.

Started as `python -m modelparity.record` by the command line; imports the side, and through it a
framework. What it says goes to standard output as one JSON object a line; what a side prints goes
to standard error.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TextIO

from modelparity.cases import load_case, load_fault, resolve_settings
from modelparity.errors import InputError, ParityError, UnreachableDropout, UsageError
from modelparity.model import Case, Fault, Setting
from modelparity.recording import Writer, digest, tree_digest
from modelparity.sides import in_short, load_side
from modelparity.steps import BESIDE, START, STEPS, equivalence
from modelparity.steps.recorder import MissingFunction, NotGiven, Recorder
from modelparity.unfinished import leaving_nothing, put_in_place, unfinished
from modelparity.witness import Witness


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
    ready: Callable[[], None] = lambda: None,
    partial: Path | None = None,
) -> None:
    """Record the requested steps of one side into `out`, which appears only when all is written.

    What the reference records for itself alone comes into `out` last; `ready` is called before, as
    soon as a candidate can be given what is there. `partial` is where it is written until then.
    `progress` hears of each step as it begins, with two zeros, then of the parts done and their
    number.
    Raises UsageError or InputError for a side, setting or input that cannot be used, and for an
    `out` that holds anything but recordings.
    """
    replaceable(out, given)
    if given is not None and not any(given.glob("*/manifest.json")):
        raise InputError(f"{given}: there are no recordings in it; name the reference's")
    out = out.resolve()
    partial = partial or unfinished(out)
    with leaving_nothing(partial), ExitStack() as stack:
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{out.parent}: cannot be written to: {error.strerror}") from None
        settings = resolve_settings(case, changes, partial / "inputs")
        functions, adapter = load_side(module, fault)
        stack.enter_context(_settled())
        environment = {
            **adapter.versions(),
            **adapter.start(threads=int(settings.get("threads", 0))),
        }
        about = header(case, role, settings, environment)
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
            record_step(recorder, step, partial / step.NAME, about, witness)
        put_in_place(partial, out, kept=equivalence.NAME)
        ready()
        beside = [BESIDE[n] for n in steps if n in BESIDE] if role == "reference" else []
        for step in beside:
            moved = _moved(settings, partial, out)
            alone = replace(recorder, settings=moved, given=out, directory=out, _given={})
            record_step(alone, step, partial, about, witness)
            put_in_place(partial, out / step.NAME)


@contextmanager
def _settled() -> Iterator[None]:
    """What was imported stays, so that each collection of a model need not go through it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _moved(settings: Mapping[str, Setting], partial: Path, out: Path) -> Mapping[str, Setting]:
    """Settings that name the inputs in `partial`, now that these are in `out`."""
    moved = {
        key: value.replace(str(partial), str(out), 1) if isinstance(value, str) else value
        for key, value in settings.items()
    }
    return MappingProxyType(moved)


def replaceable(out: Path, given: Path | None) -> None:
    """Recording replaces `out`: UsageError where that would destroy anything else."""
    if not out.exists():
        return
    if given is not None and given.exists() and out.samefile(given):
        raise UsageError(f"--out {out}: these recordings are given; name another directory")
    steps = (START, *STEPS, *BESIDE.values())
    known = {"inputs", equivalence.NAME, *(step.NAME for step in steps)}
    if not (out.is_dir() and known.issuperset(path.name for path in out.iterdir())):
        raise UsageError(
            f"--out {out}: it holds something other than recordings; name another directory"
        )


def record_step(
    recorder: Recorder,
    step: ModuleType,
    directory: Path,
    about: Mapping[str, object],
    witness: Witness,
    late: Callable[[], Mapping[str, object]] = dict,
) -> None:
    """Record one step; what the side cannot do makes it incomplete, with the reason.

    late  what the manifest says beside, known when all has run
    """
    recorder.writer = Writer(directory, {**about, "step": step.NAME})
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
        problem = f"the {recorder.role} side failed: {in_short(error)}"
    recorder.writer.finish(
        given=dict(recorder.given_identities),
        functions=sorted(ran),
        complete=not problem,
        problem=problem,
        **late(),
    )


def header(
    case: Case, role: str, settings: Mapping[str, object], environment: Mapping[str, str]
) -> dict[str, object]:
    """What every manifest of a side says of how it was recorded."""
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


Progress = Callable[[str, int, int], None]
Obey = Callable[[argparse.Namespace, Progress, Callable[[], None]], None]


def main(
    arguments: list[str] | None = None, channel: TextIO = sys.stdout, obey: Obey | None = None
) -> int:
    """The entry point of a side's process. Exit codes: 0 recorded, 2 cannot be used.

    obey  does what the options say, in place of recording the steps
    """
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
    parser.add_argument("--seeds", default="", help="step 10's independent trainings, as in 1,3")
    parser.add_argument("--look", action="store_true", help="only load what is given")
    options = parser.parse_args(arguments)

    def tell(**message: object) -> None:
        print(json.dumps(message), file=channel, flush=True)

    try:
        (obey or _obey)(
            options,
            lambda text, done, total: tell(text=text, done=done, total=total),
            lambda: tell(ready=True),
        )
    except ParityError as error:
        tell(error=str(error))
        return 2
    except (Exception, SystemExit) as error:
        tell(error=f"the {options.side} side's process failed: {in_short(error)}")
        return 2
    tell(finished=True)
    return 0


def _obey(options: argparse.Namespace, progress: Progress, ready: Callable[[], None]) -> None:
    case = load_case(options.case)
    module = options.module or getattr(case, options.side)
    fault = load_fault(case, options.fault) if options.fault else None
    changes = dict(change.partition("=")[::2] for change in options.changes)
    progress(f"loading {module}", 0, 0)
    if options.look:
        with tempfile.TemporaryDirectory() as directory:
            resolve_settings(case, changes, Path(directory) / "inputs")
        load_side(module, fault)
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
        ready=ready,
        partial=options.partial,
    )


def private_output() -> TextIO:
    """Standard output for this module alone: whatever else is printed becomes standard error.

    Workers that a side forks do not keep it open, or nobody would notice the side's own end.
    """
    channel = os.dup(1)
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: os.close(channel))
    return os.fdopen(channel, "w", encoding="utf-8", closefd=False)


if __name__ == "__main__":
    sys.exit(main(channel=private_output()))
