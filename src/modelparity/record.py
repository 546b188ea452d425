"""In a side's own process: side + adapter -> its recordings."""

import gc
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType, ModuleType

from modelparity.cases import resolve_settings
from modelparity.errors import InputError, ParityError, UnreachableDropout, UsageError
from modelparity.model import Case, Fault, Setting
from modelparity.recording import Writer, digest, tree_digest
from modelparity.sides import in_short, load_side
from modelparity.steps import BESIDE, START, STEPS, envelope, equivalence
from modelparity.steps.recorder import MissingFunction, NotGiven, Recorder
from modelparity.unfinished import leaving_nothing, make, put_in_place, unfinished
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

    `partial` is where it is written until then; parameters to start from that lie there are taken,
    others recorded, and `ready` is called when they are. `progress` hears of each step as it
    begins, with two zeros, then of the parts done and their number.
    Raises UsageError or InputError for a side, setting or input that cannot be used, and for an
    `out` that holds anything but recordings.
    """
    replaceable(out, given)
    if given is not None and not any(given.glob("*/manifest.json")):
        raise InputError(f"{given}: there are no recordings in it; name the reference's")
    out = out.resolve()
    partial = partial or unfinished(out)
    with leaving_nothing(partial):
        make(partial)
        settings = resolve_settings(case, changes, partial / "inputs")
        recorder, witness, environment = begun(case, role, module, settings, fault, progress)
        about = header(case, role, settings, environment)
        recorder = replace(recorder, directory=partial, given=given or partial)
        with settled():
            if not (partial / START.NAME).exists():
                progress(f"recording {START.NAME}", 0, 0)
                record_step(recorder, START, partial / START.NAME, about, witness)
            ready()
            for step in (step for step in STEPS if step.NUMBER in steps):
                progress(f"recording {step.NAME}", 0, 0)
                record_step(recorder, step, partial / step.NAME, about, witness)
        put_in_place(partial, out, kept=equivalence.NAME)


def record_beside(
    case: Case,
    module: str,
    out: Path,
    *,
    names: tuple[str, ...],
    changes: Mapping[str, str],
    fault: Fault | None = None,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
    partial: Path | None = None,
) -> None:
    """Record what steps need of the reference alone, of these names, into its recordings `out`.

    `partial` is a directory in which each is written until it is whole.
    """
    out = out.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        settings = resolve_settings(case, changes, Path(scratch) / "inputs")
        recorder, _, environment = begun(case, "reference", module, settings, fault, progress)
        about = header(case, "reference", settings, environment)
        recorder = replace(recorder, directory=out, given=out)
        for part in (part for parts in BESIDE.values() for part in parts if part.NAME in names):
            place = (partial or unfinished(out)) / part.NAME
            with settled(), leaving_nothing(place):
                progress(f"recording {part.NAME}", 0, 0)
                record_step(recorder, part, place, about, None)  # no other side's code can run
                put_in_place(place, out / part.NAME)


def begun(
    case: Case,
    role: str,
    module: str,
    settings: Mapping[str, Setting],
    fault: Fault | None,
    progress: Callable[[str, int, int], None],
) -> tuple[Recorder, Witness, dict[str, str]]:
    """A side's recorder, which does not know of directories yet; its witness and environment."""
    functions, adapter = load_side(module, fault)
    environment = {**adapter.versions(), **adapter.start(threads=threads(settings))}
    recorder = Recorder(
        case=case,
        role=role,
        functions=functions,
        adapter=adapter,
        settings=MappingProxyType(dict(settings)),
        directory=Path(),
        given=Path(),
        writer=None,  # type: ignore[arg-type]  # each step gets its own
        progress=progress,
    )
    witness = Witness((case.reference, case.candidate, module), case.shared)
    return recorder, witness, environment


def threads(settings: Mapping[str, Setting]) -> int:
    """The threads that a side computes on: where it is not told, half of the cores.

    Two processes are recorded at a time, and threads that wait for each other while another process
    has their core cost more than they gain.
    """
    return int(settings.get("threads", 0)) or max(1, (os.cpu_count() or 1) // 2)


@contextmanager
def settled() -> Iterator[None]:
    """What was imported stays, so that each collection of a model need not go through it."""
    if gc.get_freeze_count():  # it is so already
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def replaceable(out: Path, given: Path | None) -> None:
    """Recording replaces `out`: UsageError where that would destroy anything else."""
    if not out.exists():
        return
    if given is not None and given.exists() and out.samefile(given):
        raise UsageError(f"--out {out}: these recordings are given; name another directory")
    parts = [part.NAME for parts in BESIDE.values() for part in parts]
    known = {"inputs", equivalence.NAME, *(step.NAME for step in (START, *STEPS)), *parts}
    if not (out.is_dir() and known.issuperset(path.name for path in out.iterdir())):
        raise UsageError(
            f"--out {out}: it holds something other than recordings; name another directory"
        )


def record_step(
    recorder: Recorder,
    step: ModuleType | envelope.Nudged,
    directory: Path,
    about: Mapping[str, object],
    witness: Witness | None,
    late: Callable[[], Mapping[str, object]] = dict,
) -> None:
    """Record one step; what the side cannot do makes it incomplete, with the reason.

    witness  notes which functions run, where sides are compared by them
    late  what the manifest says beside, known when all has run
    """
    recorder.writer = Writer(directory, {**about, "step": step.NAME})
    recorder.given_identities.clear()
    problem = ""
    try:
        watching = witness.watching() if witness else nullcontext(set[str]())
        with watching as ran, recorder.adapter.precision("float32"):
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
