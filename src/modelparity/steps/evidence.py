"""What a step needs while it judges: both sides' recordings, and comparisons by name."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.model import Finding, Outcome, Rule, Tolerance
from modelparity.pairing import Pairing, matches, module_pairs, module_rules, pair, recalled
from modelparity.recording import Recording

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Evidence:
    """The recordings of one step, and those of the two models."""

    reference: Recording
    candidate: Recording
    reference_model: Recording
    candidate_model: Recording
    rules: tuple[Rule, ...]
    mask: str = ""
    beside: tuple[Recording, ...] = ()  # what the reference alone recorded for this step
    unrecorded: tuple[str, ...] = ()  # what it has not, because that before it decides
    trainings: tuple[tuple[Recording, Recording], ...] = ()  # (candidate's, reference's) a seed
    untrained: tuple[Finding, ...] = ()  # which of them cannot be used, and why

    @cached_property
    def module_names(self) -> dict[str, str]:
        """Candidate module -> reference module, for those that face each other."""
        theirs = self.candidate_model.facts.get("modules", {})
        ours = self.reference_model.facts.get("modules", {})
        pairs = pair(ours, theirs, module_rules(self.rules)).pairs
        named = {p.candidate[0]: p.reference[0] for p in pairs}
        faced = set(named.values())
        for module, other in module_pairs(self.pairs.pairs).items():
            if module in theirs and other in ours and module not in named and other not in faced:
                named[module] = other
        return named

    @cached_property
    def pairs(self) -> Pairing:
        """Which parameters face each other, and which nobody."""
        ours, theirs = self.reference_model, self.candidate_model
        known = recalled(theirs.facts)
        return pair(ours.shapes("parameter/"), theirs.shapes("parameter/"), self.rules, known)

    def settings(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """(name, candidate's settings, reference's) of every module that faces another."""
        names = self.module_names
        ours = self.reference_model.facts.get("configuration", {})
        for name, values in self.candidate_model.facts.get("configuration", {}).items():
            reference = ours.get(names.get(name, name))
            if reference is not None:
                yield name, values, reference

    @cached_property
    def hard_float32(self) -> tuple[str, ...]:
        """Modules (reference's names) that compute in float32 inside a float64 run."""
        names = self.module_names
        ours = list(self.reference_model.facts.get("hard_float32", ()))
        theirs = [names.get(m, m) for m in self.candidate_model.facts.get("hard_float32", ())]
        return tuple(dict.fromkeys(ours + theirs))

    def alone(self) -> tuple[str, ...]:
        """The parameters of either side that face nobody."""
        return (*self.pairs.reference_only, *self.pairs.candidate_only)

    def why_unpaired(self, name: str) -> str:
        """The case's reason why a parameter faces nobody; "" where it faces one, or must.

        name  a parameter's, or of an array that stands for it (`drawn/NAME`)
        """
        terms: dict[str, str] = self.reference.manifest["terms"]["unpaired"]
        parameter = name.rpartition("/")[2]
        reason = next((why for template, why in terms.items() if matches(template, parameter)), "")
        return reason if reason and parameter in self.alone() else ""

    def missing(self, name: str, side: str, what: str = "array") -> list[Finding]:
        """A finding for a parameter that one side lacks, unless the case says why it does."""
        return [] if self.why_unpaired(name) else [judge.missing(name, side, what)]

    def batch_mask(self, run: str) -> Array | None:
        """The mask of active positions (B, T) of a batch of step 1, where it has one."""
        prefix, _, number = run.rpartition("/")
        name = f"given/{prefix + '/' if prefix else ''}batch/{number}/{self.mask}"
        return self.reference.array(name) if name in self.reference else None

    def notes(self) -> tuple[str, ...]:
        """What weakens the float64 claim of this case."""
        hard = self.hard_float32
        if not hard:
            return ()
        listed = ", ".join(hard[:3]) + (f" and {len(hard) - 3} more" if len(hard) > 3 else "")
        verb = "computes" if len(hard) == 1 else "compute"
        return (f"weaker claim: {listed} {verb} in float32 inside a float64 run",)


@dataclass(frozen=True)
class Comparison:
    """How the arrays of a step are compared.

    groups     name -> the group whose median scale floors tensors that vanish mathematically
    floor      the share of that scale which is the floor
    condition  name -> how many float32 ulps one ulp of a coefficient is worth
    apart      name -> how far nudged float32 runs of the reference lie from its float64 run, rms
    modules    whether the values come out of the modules; if so, those that compute in hard-coded
               float32 soften the claim, else what was given in float64 stays in it
    moved      candidate's arrays by name that stand in the place of those that were recorded
    """

    tolerance: Tolerance = judge.FLOAT64
    groups: Callable[[str], str] = lambda name: name.rpartition("/")[0]
    floor: float = judge.GROUP_FLOOR
    condition: Callable[[str], float] = lambda _: 1.0
    apart: Callable[[str], float] = lambda _: 0.0
    modules: bool = True
    moved: Mapping[str, Array] = field(default_factory=dict)


# Parameters that were updated hold what all updates left; Adam makes 1e-13 of a gradient that is
# rounding noise, so they are measured by their group's scale.
UPDATED = Comparison(judge.UPDATES, floor=1.0)


def compare(evidence: Evidence, prefix: str, how: Comparison | None = None) -> list[Finding]:
    """Compare everything recorded below `float64/prefix` and `float32/prefix`, name by name."""
    how = how or Comparison()
    ours, theirs = evidence.reference, evidence.candidate
    granted = _granted(ours, prefix, how)
    noise = _noise(ours, prefix, how, granted)
    hard = how.modules and bool(evidence.hard_float32)
    findings = []
    for dtype in ("float64", "float32"):
        start = f"{dtype}/{prefix}"
        names = ours.below(start)
        known = set(theirs.below(start))
        for name in names:
            full = start + name
            if name not in known:
                findings += evidence.missing(full, "candidate")
                continue
            unlike = _unlike(full, ours, theirs)
            if unlike:
                findings.append(unlike)
                continue
            candidate = how.moved[full] if full in how.moved else theirs.array(full)
            if dtype == "float64" and not hard:
                floor, _ = granted.get(how.groups(full), (0.0, judge.ULP32))
                found = judge.float64(
                    full,
                    candidate=candidate,
                    reference=ours.array(full),
                    tolerance=how.tolerance,
                    floor=floor,
                )
            else:
                found = noise(full, candidate)
            findings.append(found)
        for name in sorted(known - set(names)):
            findings += evidence.missing(start + name, "reference")
    return findings


def noise_limits(
    ours: Recording, prefix: str, how: Comparison | None = None
) -> dict[str, Callable[[Array], float]]:
    """Name -> how far an array of either precision lies, in units of what the noise rule allows."""
    how = how or Comparison()
    noise = _noise(ours, prefix, how, _granted(ours, prefix, how))

    def ratio(name: str, array: Array) -> float:
        return noise(f"{array.dtype}/{name}", array).ratio

    return {prefix + n: partial(ratio, prefix + n) for n in ours.below(f"float32/{prefix}")}


def _noise(
    ours: Recording, prefix: str, how: Comparison, granted: Mapping[str, tuple[float, float]]
) -> Callable[[str, Array], Finding]:
    """Judges arrays of either precision by the reference's float32."""

    def noise(full: str, candidate: Array) -> Finding:
        dtype, _, name = full.partition("/")
        truth = f"float64/{name}"
        floor, rounding = granted.get(how.groups(truth), (0.0, judge.ULP32))
        short = name[len(prefix) :]
        return judge.noise(
            full,
            candidate=candidate,
            reference=ours.array(f"float32/{name}"),
            truth=ours.array(truth),
            floor=floor,
            relative=max(rounding, how.condition(short) * judge.ULP32),
            apart=how.apart(short),
            softened=dtype == "float64",
        )

    return noise


def _unlike(name: str, ours: Recording, theirs: Recording) -> Finding | None:
    """What a sketch cannot show: another shape or dtype of what it stands for."""
    ours_entry, theirs_entry = ours.entry(name), theirs.entry(name)
    for key in ("shape", "dtype"):
        if ours_entry[key] != theirs_entry[key]:
            message = f"{key} {theirs_entry[key]} against {ours_entry[key]}"
            return Finding(name, "exact", Outcome.DIVERGED, message, ratio=np.inf)
    return None


def _granted(ours: Recording, prefix: str, how: Comparison) -> dict[str, tuple[float, float]]:
    """group -> the floor of its scales, and the relative rounding of its float32."""
    groups: dict[str, list[tuple[Array, Array]]] = {}
    for name in ours.below(f"float64/{prefix}"):
        full = f"float64/{prefix}{name}"
        truth, rough = ours.array(full), f"float32/{prefix}{name}"
        if truth.dtype.kind == "f":
            own = ours.array(rough) if rough in ours else truth
            groups.setdefault(how.groups(full), []).append((own, truth))
    granted = {}
    for group, pairs in groups.items():
        floor = how.floor * judge.group_scale(truth for _, truth in pairs)
        granted[group] = floor, judge.group_rounding(pairs, floor)
    return granted


def elements(recording: Recording, names: Iterable[str]) -> int:
    """How many elements these arrays hold, or stand for."""
    return sum(int(np.prod(recording.entry(name)["shape"])) for name in names)


def spread(candidate: Array, *others: Array) -> tuple[Array, Array, Array, Array]:
    """What modules pass on: held once for all examples, as positions are, or once for each."""
    widest = max((a.shape for a in (candidate, *others)), key=math.prod)
    c, r, own, truth = (spread_over(widest, a) for a in (candidate, *others))
    return c, r, own, truth


def spread_over(shape: tuple[int, ...], array: Array) -> Array:
    """An array of one example (1, ...) for all of them, (B, ...); others as they are."""
    alike = array.ndim == len(shape) > 1 and array.shape[1:] == shape[1:]
    return np.broadcast_to(array, shape) if alike and len(array) == 1 else array


def compare_parts(
    name: str,
    arrays: tuple[Array, Array, Array, Array],
    mask: Array | None,
    rounding: float | None,
) -> list[Finding]:
    """Active positions and padding apart, each by float64, or with a `rounding` by noise.

    arrays  the candidate's, the reference's, the reference's in float32, and in float64; rounding
    the relative rounding that is granted at least
    """
    c, r, own, truth = arrays
    if c.dtype.kind != "f" or c.shape != r.shape:
        return [judge.exact(name, candidate=c, reference=r)]
    findings = []
    parts = zip(*(judge.split_by_mask(a, mask) for a in (c, r, own, truth)), strict=True)
    for (label, c_part), (_, r_part), (_, own_part), (_, truth_part) in parts:
        if rounding is None:
            found = judge.float64(name + label, candidate=c_part, reference=r_part)
        else:
            found = judge.noise(
                name + label,
                candidate=c_part,
                reference=own_part,
                truth=truth_part,
                relative=rounding,
                softened=not name.startswith("float32/"),
            )
        findings.append(found)
    return findings
