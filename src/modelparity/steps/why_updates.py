"""What would explain a finding of steps 4 and 6: the same updates with one thing changed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from modelparity.diagnose import CLOSES, Hint, clipping, closing, curves, optimizers
from modelparity.diff import rms
from modelparity.model import Finding
from modelparity.steps.evidence import Evidence

Array = np.ndarray[Any, Any]

ROUNDING = 1e-9  # relative: what is left where there is no gap
DECAY = 0.01  # that a side may have where the other has none
KINDS = ("parameter", "first_moment", "second_moment")


def why_update(evidence: Evidence, finding: Finding, factors: tuple[float, ...]) -> Iterator[Hint]:
    """A parameter or its state (`PREFIXupdate.K/KIND/NAME`) behind updates 0 to K."""
    kinds = [_kind(side.facts) for side in (evidence.candidate, evidence.reference)]
    if all(kinds) and kinds[0] != kinds[1]:
        yield Hint(f"the optimizer is {kinds[0]}, not {kinds[1]}: its rule is another one")
        return
    place, _, name = finding.name.rpartition("/")
    place, _, kind = place.rpartition("/")
    before, _, number = place.rpartition("update.")
    if finding.compared is None or kind not in KINDS or not number.isdigit():
        return
    prefix = before.partition("/")[2]
    given = _given(evidence, name)
    if given is None:
        return
    start, gradient = given
    gradients = [factor * gradient for factor in factors[: int(number) + 1]]
    right = rule_of(evidence.reference.facts.get(f"{prefix}optimizer", {}), 0.0)
    tried = optimizers.hypotheses(
        kind, (start, gradients), finding.compared[1].astype(np.float64), right, DECAY
    )
    everything = [factor * gradient for factor in factors]
    for hint in closing(*finding.compared, tried):
        ends = (f"{before}update.{len(factors) - 1}/{kind}/{name}" for kind in KINDS)
        if all(_holds(evidence, end, (start, everything), right, hint.text) for end in ends):
            yield hint


def _kind(facts: Mapping[str, Any]) -> str:
    """The kind of optimizer that step 4 recorded."""
    found = (value.get("kind", "") for value in facts.values() if isinstance(value, dict))
    return next((str(kind) for kind in found if kind), "")


def _holds(
    evidence: Evidence,
    end: str,
    given: tuple[Array, list[Array]],
    right: optimizers.Adam,
    text: str,
) -> bool:
    """Whether a mistake that explains one update explains what all of them leave, too."""
    if end not in evidence.candidate or end not in evidence.reference:
        return True
    c, r = (s.array(end).astype(np.float64) for s in (evidence.candidate, evidence.reference))
    kind = end.split("/")[-2]
    if kind != "parameter" and not c.any():  # a rule that has no use for it
        return True
    for _, predicted in optimizers.hypotheses(kind, given, r, right, DECAY, only=text):
        return bool(rms(c - predicted) <= max(CLOSES * rms(c - r), ROUNDING * rms(r)))
    return True


def why_decay(evidence: Evidence, finding: Finding, updates: int) -> Iterator[Hint]:
    """A parameter behind updates from zero or given gradients, with a decay."""
    path, _, name = finding.name.rpartition("/")
    given = _given(evidence, name)
    if finding.compared is None or given is None:
        return
    start, gradient = given
    gradients = [gradient * 0.0 if path.endswith("/zero") else gradient] * updates
    decay = float(evidence.reference.facts.get("decay", {}).get(name, 0.0))
    right = rule_of(evidence.reference.facts.get("optimizer", {}), decay)
    reference = finding.compared[1].astype(np.float64)
    tried = (
        optimizers.hypotheses("parameter", (start, gradients), reference, how, decay or DECAY)
        for how in optimizers.falling(right, updates)
    )
    yield from closing(*finding.compared, chain.from_iterable(tried))


def why_clipped(evidence: Evidence, finding: Finding, factor: float) -> Iterator[Hint]:
    """A gradient that reached the optimizer's rule, clipped otherwise."""
    start = "given/gradient/"
    name = finding.name.rpartition("/")[2]
    given = {n: factor * _gradient(evidence, n) for n in evidence.reference.below(start)}
    if finding.compared is None or name not in given:
        return
    groups = evidence.reference.facts.get("decay", {})
    reference = finding.compared[1].astype(np.float64)
    place, theirs = finding.name.removesuffix(name), evidence.candidate
    reached = {n: theirs.array(place + n).astype(np.float64) for n in theirs.below(place)}
    tried = clipping.clipped(name, given, reference, groups, reached)
    yield from closing(*finding.compared, tried)


def why_curve(finding: Finding) -> Iterable[Hint]:
    """A curve of float64 losses: where it parts from the reference's, and how."""
    if finding.name.startswith("float64/training/") and finding.compared is not None:
        return curves.explain(*finding.compared)
    return ()


def why_sites(
    key: str, candidate: Mapping[str, Any], reference: Mapping[str, Any]
) -> Iterator[Hint]:
    """At how many dropout sites a setting (`rate`, `active`, `scale`) differs."""
    more = [s for s, v in candidate.items() if v["active"] and not reference.get(s, v)["active"]]
    more += [s for s, v in candidate.items() if v["active"] and s not in reference]
    if more:
        text = f"dropout acts at {len(more)} sites where the reference has none"
        yield Hint(f"{text}: {', '.join(more[:3])}")
    differ = [
        site
        for site, values in reference.items()
        if site in candidate and candidate[site].get(key) != values.get(key)
    ]
    silent = [s for s, v in reference.items() if v["active"] and s not in candidate]
    if silent or (differ and key == "active"):
        quiet = len({*silent, *(s for s in differ if reference[s]["active"])})
        if quiet:
            yield Hint(f"dropout never acts at {quiet} of {len(reference)} sites on the candidate")
    elif differ:
        values = dict.fromkeys(f"{candidate[s][key]}" for s in differ)
        text = f"{key} is {', '.join(values)} at {len(differ)} of {len(reference)} sites"
        yield Hint(f"{text} on the candidate")


def why_set(candidate: Mapping[str, Any], reference: Mapping[str, Any]) -> Iterator[Hint]:
    """Which parameters have another decay: those that end alike, where all of them do."""
    wrong = {n for n in reference if n in candidate and candidate[n] != reference[n]}
    if not wrong:
        return
    verb = _decayed_otherwise({candidate[n] for n in wrong}, {reference[n] for n in wrong})
    parts = [n.split(".") for n in reference]
    ends = dict.fromkeys(".".join(p[-count:]) for count in (2, 1) for p in parts)
    alike = {end: {n for n in reference if n.endswith(end)} for end in ends}
    for end, names in alike.items():
        if wrong == names:
            yield Hint(f"all of the {len(names)} parameters that end in {end} {verb}")
            return
    decayed = {n for n in reference if reference[n]}
    for word, inside in _by_words(reference):
        kept = inside & decayed if wrong <= decayed else inside
        for text, names in ((f"that hold {word!r}", kept), (f"but {word!r}", decayed - inside)):
            if wrong == names:
                yield Hint(f"all {len(names)} parameters {text} in their names {verb}")
                return
    if wrong == decayed:
        yield Hint(f"all {len(wrong)} parameters that decay on the reference {verb}")
        return
    for end, names in alike.items():
        if wrong <= names:
            yield Hint(f"{len(wrong)} of the {len(names)} parameters that end in {end} {verb}")
            return
    kinds = dict.fromkeys(n.rpartition(".")[2] for n in reference if n in wrong)
    text = f"{len(wrong)} of {len(reference)} parameters {verb}"
    yield Hint(f"{text}, those that end in {', '.join(kinds)}")


def _decayed_otherwise(candidate: set[Any], reference: set[Any]) -> str:
    if not any(candidate):
        return "do not decay on the candidate"
    if not any(reference):
        return "decay on the candidate"
    listed = [", ".join(f"{value:g}" for value in sorted(side)) for side in (candidate, reference)]
    return f"decay by {listed[0]} in place of {listed[1]} on the candidate"


def _by_words(names: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
    """The parts of names, between dots and underscores, with the names that hold them."""
    found: dict[str, set[str]] = {}
    for name in names:
        for word in re.split(r"[._]", name):
            if not word.isdigit():
                found.setdefault(word, set()).add(name)
    return iter(found.items())


def _given(evidence: Evidence, name: str) -> tuple[Array, Array] | None:
    full = f"parameter/{name}"
    if full not in evidence.reference_model or f"given/gradient/{name}" not in evidence.reference:
        return None
    start = evidence.reference_model.array(full).astype(np.float64)
    return start, _gradient(evidence, name)


def _gradient(evidence: Evidence, name: str) -> Array:
    return evidence.reference.array(f"given/gradient/{name}").astype(np.float64)


def rule_of(facts: Mapping[str, Any], decay: float) -> optimizers.Adam:
    """Adam as an optimizer's configuration says it; its rate is 0."""

    def one(key: str, usual: float) -> float:
        value = facts.get(key, usual)
        return float(value) if isinstance(value, int | float) else usual

    return optimizers.Adam(
        rate=0.0,
        beta1=one("beta1", 0.9),
        beta2=one("beta2", 0.999),
        eps=one("eps", 1e-8),
        decay=decay,
        coupled=bool(facts.get("coupled", False)) if decay else False,
    )
