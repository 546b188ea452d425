"""Two files, or tensors at hand, to a Comparison: face names, measure, judge, conclude."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from modelparity.compare.facts import misfit, mistyped, unpaired, whole
from modelparity.compare.figures import Figures
from modelparity.compare.measure import Match, is_exact, measure
from modelparity.compare.names import Names, face
from modelparity.compare.read import size
from modelparity.compare.result import Compared, Comparison
from modelparity.compare.sweep import Want
from modelparity.compare.tasks import Files, Result, Task, Tensors, close, tensors
from modelparity.compare.tolerances import Exact, Override, choose, override
from modelparity.compare.workers import do
from modelparity.errors import UsageError
from modelparity.model import Outcome

PAYS = 1 << 27  # elements from which a compiled kernel makes up for its start
Tell = Callable[[str, int, int], None]  # what is done, how much of it, of how much
# A tensor this small beside the median of all may vanish mathematically (a key bias' gradient).
VANISHING = 1e-5
NOISE = (
    "both are tiny beside the other tensors; where they vanish mathematically they are noise: "
    "give an absolute tolerance, as in --tolerance 'NAME: atol=1e-8'"
)
_GRAVITY = {Outcome.DIVERGED: 0, Outcome.INCONCLUSIVE: 1, Outcome.ALIGNED: 2}


@dataclass(frozen=True)
class Options:
    """How to compare.

    rename, transpose  see `names.face`; tolerance  see `tolerances.override`
    full     the figures that decide nothing, too
    workers  processes on this machine; dask  the address of a scheduler
    kernel   "numpy", "compiled", or "" for the one that pays: compiling takes seconds
    """

    rename: Sequence[str] = ()
    transpose: Sequence[str] = ()
    tolerance: Sequence[str] = ()
    full: bool = False
    workers: int = 1
    dask: str = ""
    kernel: str = ""


def compare(
    *,
    reference: Path | Tensors,
    candidate: Path | Tensors,
    truth: Path | Tensors | None = None,
    options: Options = Options(),
    tell: Tell = lambda *_: None,
) -> Comparison:
    """Compare the candidate with the reference; with a truth, judge both by their distance to it.

    Each is a path that `formats.open_tensors` reads, or tensors by name. InputError for what cannot
    be read, UsageError for options that cannot be used.
    """
    overrides = [override(text) for text in options.tolerance]
    files = Files(reference, candidate, truth, uuid.uuid4().hex)

    def doing(files: Files, tasks: Sequence[Task]) -> Iterator[Result]:
        results = do(files, tasks, workers=options.workers, dask=options.dask)
        for number, result in enumerate(results, 1):
            yield result
            tell("comparing", number, len(tasks))

    try:
        names = face(
            tensors(reference, files.run),
            tensors(candidate, files.run),
            rename=options.rename,
            transpose=options.transpose,
        )
        found, matches = _look(files, names, overrides)
        cut = options.workers > 1 or bool(options.dask)
        want = Want(full=options.full, compiled=_compiled(options.kernel, matches))
        found += measure(files, matches, doing, want=want, cut=cut)
    finally:
        close()
    return _conclude(files, names, found, kernel="compiled" if want.compiled else "numpy")


def _compiled(kernel: str, matches: Sequence[Match]) -> bool:
    """Whether numba measures; UsageError where it is asked for and not there."""
    if kernel not in ("", "numpy", "compiled"):
        raise UsageError(f"--kernel {kernel}: expected numpy or compiled")
    elements = sum(size(m.reference) for m in matches)
    if kernel == "numpy" or (not kernel and elements < PAYS):
        return False
    try:
        import modelparity.compare.fused  # noqa: F401
    except (ImportError, RuntimeError) as error:  # not there, or nowhere to keep what it compiles
        if kernel:
            raise UsageError(
                f"--kernel compiled: {error}; pip install 'modelparity[fast]'"
            ) from None
        return False
    return True


def _look(
    files: Files, names: Names, overrides: Sequence[Override]
) -> tuple[list[Compared], list[Match]]:
    """What can be said before any value is looked at, and what is to be measured."""
    reference = tensors(files.reference, files.run)
    candidate = tensors(files.candidate, files.run)
    truth = tensors(files.truth, files.run)
    judged = files.truth is not None
    found, matches = unpaired(names, reference, candidate), []
    for facing in names.facing:
        theirs, ours = reference[facing.reference], candidate[facing.candidate]
        known = truth.get(facing.reference)
        wrong = misfit(facing, theirs, ours, known, judged)
        if wrong is not None:
            found.append(wrong)
            continue
        limit = choose(theirs.dtype, (facing.reference, facing.candidate), overrides)
        by_truth = judged and not whole(theirs.dtype) and not isinstance(limit, Exact)
        matches.append(
            Match(
                facing=facing,
                reference=theirs,
                exact=is_exact(theirs, ours),
                limit=limit,
                truth=facing.reference if by_truth else None,
                mistyped=mistyped(theirs, ours),
            )
        )
    return found, matches


def _conclude(files: Files, names: Names, found: Sequence[Compared], *, kernel: str) -> Comparison:
    found = _vanishing(found)
    ordered = tuple(sorted(found, key=_reading_order))  # stable: the reference's order otherwise
    outcome = ordered[0].finding.outcome if ordered else Outcome.INCONCLUSIVE
    measured = [c for c in ordered if c.figures is not None]
    reason = "nothing was compared: neither side has a tensor"
    if ordered and outcome is Outcome.ALIGNED:
        many = "1 tensor" if len(measured) == 1 else f"{len(measured):,} tensors"
        reason = f"{many} within {'its limit' if len(measured) == 1 else 'their limits'}"
    elif ordered:
        first = ordered[0].finding
        reason = f"{first.name}: {first.message}" if first.name else first.message
    unused = [rule for rule, count in names.matched.items() if not count]
    return Comparison(
        reference=_label(files.reference),
        candidate=_label(files.candidate),
        truth=_label(files.truth),
        outcome=outcome,
        reason=reason,
        tensors=ordered,
        coverage={
            "tensors": len(measured),
            "elements": sum(c.figures.elements for c in measured if c.figures),
        },
        matched=names.matched,
        notes=tuple(f"{rule} matched no tensor" for rule in unused),
        kernel=kernel,
    )


def _vanishing(found: Sequence[Compared]) -> list[Compared]:
    """The same, with a hint for tensors that may be nothing but rounding noise."""
    scales = [c.figures.reference_rms for c in found if c.figures and c.figures.reference_rms]
    least = VANISHING * median(scales) if scales else 0.0
    return [
        replace(c, finding=replace(c.finding, hints=(*c.finding.hints, NOISE)))
        if c.finding.outcome is Outcome.DIVERGED and c.figures and _is_tiny(c.figures, least)
        else c
        for c in found
    ]


def _is_tiny(figures: Figures, least: float) -> bool:
    return 0.0 < (figures.reference_rms or 0.0) < least and figures.rms < least


def _reading_order(compared: Compared) -> tuple[int, float]:
    finding = compared.finding
    return _GRAVITY[finding.outcome], -finding.ratio if finding.ratio == finding.ratio else -1e999


def _label(source: Path | Tensors | None) -> str:
    """A path as it was given, but no directories of this machine."""
    if isinstance(source, Path):
        return source.name if source.is_absolute() else source.as_posix()
    return ""
