"""What would explain a finding of steps 4 and 6: the same updates with one thing changed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from modelparity.diagnose import CLOSES, Hint, closing, curves, optimizers
from modelparity.diff import rms
from modelparity.model import Finding
from modelparity.steps.evidence import Evidence

Array = np.ndarray[Any, Any]

ROUNDING = 1e-9  # relative: what is left where there is no gap
DECAY = 0.01  # that a side may have where the other has none
KINDS = ("parameter", "first_moment", "second_moment")


def why_update(evidence: Evidence, finding: Finding, factors: tuple[float, ...]) -> Iterator[Hint]:
    """A parameter or its state (`PREFIXupdate.K/KIND/NAME`) behind updates 0 to K."""
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
    candidate = finding.compared[0].astype(np.float64)
    tried = optimizers.clipped(name, given, reference, groups, candidate)
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
    wrong = [n for n in reference if n in candidate and candidate[n] != reference[n]]
    parts = [n.split(".") for n in reference]
    for ends in dict.fromkeys(".".join(p[-count:]) for count in (2, 1) for p in parts):
        all_alike = {n for n in reference if n.endswith(ends)}
        if wrong and set(wrong) <= all_alike:
            which = "all" if set(wrong) == all_alike else f"{len(wrong)}"
            verb = "decay" if any(candidate[n] for n in wrong) else "do not decay"
            text = f"{which} of the {len(all_alike)} parameters that end in {ends} {verb}"
            yield Hint(f"{text} on the candidate")
            return
    for word, inside in _by_words(reference):
        decayed = {n for n in reference if reference[n]}
        for text, named in ((f"that hold {word!r}", inside), (f"but {word!r}", decayed - inside)):
            if wrong and set(wrong) == named:
                verb = "decay" if any(candidate[n] for n in wrong) else "do not decay"
                yield Hint(f"all {len(wrong)} parameters {text} in their names {verb} here")
                return
    if wrong:
        verb = "decay" if all(candidate[n] for n in wrong) else "have another decay"
        text = f"{len(wrong)} of {len(reference)} parameters {verb} on the candidate"
        kinds = dict.fromkeys(n.rpartition(".")[2] for n in wrong)
        yield Hint(f"{text}, those that end in {', '.join(kinds)}")


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
