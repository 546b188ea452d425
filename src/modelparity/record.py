"""In a side's own process: side + adapter -> its recordings.

Started as `python -m modelparity.record` by the command line; imports the side, and through it a
framework. Progress goes to standard output as one JSON object a line.
"""

import argparse
import importlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import CodeType, FrameType, MappingProxyType, ModuleType
from typing import Any, cast

from modelparity.adapters import REQUIRED, Adapter
from modelparity.cases import load_case, load_fault, resolve_settings
from modelparity.errors import InputError, ParityError, UsageError
from modelparity.model import Case, Fault
from modelparity.recording import Writer, digest, tree_digest
from modelparity.steps import START, STEPS
from modelparity.steps.recorder import MissingFunction, NotGiven, Recorder

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
) -> None:
    """Record the requested steps of one side into `out`, which appears only when all is written.

    Raises UsageError or InputError for a side, setting or input that cannot be used, and for an
    `out` that holds anything but recordings.
    """
    _replaceable(out, given)
    out = out.resolve()
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{out.parent}: cannot be written to: {error.strerror}") from None
    try:
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
        trace = _Trace(case, module)
        wanted = [START] + [step for step in STEPS if step.NUMBER in steps]
        for step in wanted:
            _record_step(recorder, step, header, trace)
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replaceable(out: Path, given: Path | None) -> None:
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
    recorder: Recorder, step: ModuleType, header: Mapping[str, object], trace: "_Trace"
) -> None:
    """Record one step; what the side cannot do makes it incomplete, with the reason."""
    recorder.writer = Writer(recorder.directory / step.NAME, {**header, "step": step.NAME})
    recorder.given_identities.clear()
    problem = ""
    try:
        with trace.watching() as ran, recorder.adapter.precision("float32"):
            step.record(recorder)
    except (MissingFunction, NotGiven) as error:
        problem = str(error)
    except ParityError:
        raise
    except Exception as error:
        if os.environ.get("MODELPARITY_TRACEBACK"):
            traceback.print_exc()
        problem = f"the {recorder.role} side failed: {_in_short(error)}"
    recorder.writer.finish(
        given=dict(recorder.given_identities),
        functions=sorted(ran),
        complete=not problem,
        problem=problem,
    )


def _in_short(error: Exception) -> str:
    """One line: what was raised, and the innermost place outside the frameworks."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename]
    last = (own or frames)[-1]
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line} ({Path(last.filename).name}:{last.lineno})"


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
            "aliases": dict(case.aliases),
            "published": {str(k): dict(v) for k, v in case.published.items()},
        },
        "environment": dict(environment),
        "rounding": digest(sorted(environment.items())),
    }


def _load_side(module: str, fault: Fault | None) -> tuple[dict[str, Callable[..., Any]], Adapter]:
    try:
        side = importlib.import_module(module)
        adapter = importlib.import_module(side.ADAPTER)
    except AttributeError:
        raise UsageError(
            f"side {module}: it does not say its ADAPTER (see docs/sides.md)"
        ) from None
    except ImportError as error:
        raise UsageError(f"side {module}: {error}; is its framework installed?") from None
    lacking = [name for name in REQUIRED if not hasattr(adapter, name)]
    if lacking:
        raise UsageError(f"adapter {adapter.__name__}: it lacks {', '.join(lacking)}")
    functions = {name: getattr(side, name) for name in FUNCTIONS if hasattr(side, name)}
    if fault:
        functions.update(fault.override(MappingProxyType(dict(functions))))
    return functions, cast(Adapter, adapter)


class _Trace:
    """Notes which functions of the project run, so that shared code cannot pass unseen.

    Code of installed packages and of Python itself does not count, unless it belongs to the same
    top-level package as the side; nor does the ladder's own.
    """

    def __init__(self, case: Case, module: str) -> None:
        self._own = {name.partition(".")[0] for name in (case.reference, case.candidate, module)}
        self._own.discard("modelparity")
        self._allowed = case.shared
        self._seen: dict[CodeType, str | None] = {}
        self._system = tuple({os.path.dirname(os.__file__), sys.prefix, sys.base_prefix})

    @contextmanager
    def watching(self) -> Iterator[set[str]]:
        ran: set[str] = set()

        def note(frame: FrameType, event: str, _argument: object) -> None:
            if event == "call":
                code = frame.f_code
                name = self._seen.get(code, "")
                if name == "":
                    name = self._seen[code] = self._name(frame)
                if name is not None:
                    ran.add(name)

        sys.setprofile(note)
        try:
            yield ran
        finally:
            sys.setprofile(None)

    def _name(self, frame: FrameType) -> str | None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        code = frame.f_code
        if top in ("modelparity", "__main__") or code.co_filename.startswith("<"):
            return None
        if top not in self._own and code.co_filename.startswith(self._system):
            return None
        if any(module == name or module.startswith(f"{name}.") for name in self._allowed):
            return None
        qualified = getattr(code, "co_qualname", code.co_name)
        return f"{module}:{qualified}:{code.co_firstlineno}"


def main(arguments: list[str] | None = None) -> int:
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
    options = parser.parse_args(arguments)
    try:
        case = load_case(options.case)
        record(
            case,
            options.side,
            options.module or getattr(case, options.side),
            options.out,
            given=options.given,
            steps=tuple(map(int, options.steps.split(","))),
            changes=dict(change.partition("=")[::2] for change in options.changes),
            fault=load_fault(case, options.fault) if options.fault else None,
            progress=_tell,
        )
    except ParityError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 2
    return 0


def _tell(text: str, done: int, total: int) -> None:
    print(json.dumps({"text": text, "done": done, "total": total}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
