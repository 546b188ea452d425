"""The nouns: frozen data, no I/O and no behaviour beyond themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

Setting = bool | int | float | str
EMPTY: Mapping[str, object] = MappingProxyType({})


class Outcome(Enum):
    """What a comparison may conclude."""

    ALIGNED = "aligned"
    DIVERGED = "diverged"
    INCONCLUSIVE = "inconclusive"

    def __bool__(self) -> bool:
        raise TypeError("an outcome has three values; compare it with `is`")


@dataclass(frozen=True)
class Tolerance:
    """How far apart two arrays may lie, and where the figures come from.

    `rms` bounds rms(candidate - reference) relative to the scale; `peak` bounds the largest
    single difference relative to the largest reference value.
    """

    rms: float
    peak: float
    source: str


@dataclass(frozen=True)
class Rule:
    """How reference names face candidate names, and how their arrays are laid out.

    Names are templates: `{layer}` stands for one dotted part, `{path*}` for any number of them.
    With several reference names, their arrays are joined along `axis` to face one candidate
    array; with several candidate names it is the other way round. `transpose` swaps the two last
    axes of each reference array before anything is joined.
    """

    reference: str | tuple[str, ...]
    candidate: str | tuple[str, ...]
    transpose: bool = False
    axis: int = 0


@dataclass(frozen=True)
class Diff:
    """A measured distance between two arrays, without an opinion. All figures are float64."""

    elements: int
    max_abs: float
    mean_abs: float
    rms: float
    reference_rms: float
    reference_peak: float
    unequal: int
    worst: tuple[int, ...] = ()
    reference_value: float = 0.0
    candidate_value: float = 0.0
    nonfinite: int = 0


@dataclass(frozen=True)
class Finding:
    """One compared thing and what follows from it.

    `rule` is the kind of evidence (exact, float64, noise, schedule, distribution, trajectory,
    completeness); `ratio` says how far the distance lies relative to what is allowed (1.0 is the
    limit). `message` says what was found, `hints` what would explain it and what to do about it,
    the best first. `source` is the recorded array it is about, where the name does not say it;
    `compared` are the candidate's and the reference's arrays, only while the step judges.
    """

    name: str
    rule: str
    outcome: Outcome
    message: str = ""
    hints: tuple[str, ...] = ()
    ratio: float = 0.0
    diff: Diff | None = None
    source: str = ""
    compared: tuple[Any, Any] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Verdict:
    """What one step concludes, with the evidence for it.

    `coverage` counts what was compared; `notes` hold what weakens or qualifies the claim; `means`
    gives per name the mean absolute difference in float32 and float64 (None where not compared);
    `series` are curves for the reports; `details` are tables for them.
    """

    number: int
    name: str
    outcome: Outcome
    reason: str
    findings: tuple[Finding, ...] = ()
    coverage: Mapping[str, int | float | str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    means: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """A known porting bug, injected on purpose into the process of one side.

    `override` takes the side's functions by name and returns those to replace; it runs only in the
    side's own process. `equivalent` faults change nothing that numbers can show, with the reason.
    """

    name: str
    step: int
    site: str
    cause: str
    override: Callable[[Mapping[str, Callable[..., object]]], Mapping[str, Callable[..., object]]]
    equivalent: str = ""


@dataclass(frozen=True)
class Case:
    """One port on trial.

    reference, candidate   import paths of the two sides (see docs/sides.md)
    settings               every setting with its default, whose type `--set key=value` takes
    paths                  settings that name files or directories: compared by content
    rules                  how names face each other beyond being equal
    unpaired               templates of names that face nobody, each with the reason
    splits                 the evaluation splits
    mask                   the batch field, (batch, positions), that is zero at padding
    variants               per step, the settings it runs under, one recording each
    shared                 modules whose code both sides may run, because no step puts them on trial
    prepare                (settings, directory) -> settings: checks them, writes embedded inputs
    faults                 `module:attribute` of the planted faults
    aliases                per step, {name of ours: the key an older record gives it}. A name is a
                           key of the verdict's `means`; one with `*` covers every compared array
                           that it matches, as one mean over all their elements
    published              per step, what that record published: {its key: its figure}, or words
                           where it gives no figure; alignment.md shows it beside ours
    """

    name: str
    reference: str
    candidate: str
    settings: Mapping[str, Setting]
    paths: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    unpaired: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ("dev", "test")
    mask: str = ""
    variants: Mapping[str, tuple[Mapping[str, Setting], ...]] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    prepare: Callable[[dict[str, Setting], Path], dict[str, Setting]] | None = None
    faults: str = ""
    aliases: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    published: Mapping[int, Mapping[str, str] | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Every verdict and both sides' manifests; plain data, no opinion on colour."""

    case: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    manifests: Mapping[str, Mapping[str, object]]
    settings: Mapping[str, Setting]
    aliases: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    published: Mapping[int, Mapping[str, str] | str] = field(default_factory=dict)
    fault: str = ""
