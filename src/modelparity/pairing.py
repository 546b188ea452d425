"""Which names face each other, and which face nobody."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelparity.errors import UsageError
from modelparity.model import Rule

Array = np.ndarray[Any, Any]
Names = Iterable[str] | Mapping[str, tuple[int, ...]]

GUESSED = BY_FORM, BY_VALUES, BY_SHAPE = "normalised name", "equal values", "shape and order"

# How frameworks spell the same parameter's last part.
SPELLINGS = {
    "gamma": "weight",
    "scale": "weight",
    "beta": "bias",
    "offset": "bias",
    "_mean": "running_mean",
    "moving_mean": "running_mean",
    "_variance": "running_var",
    "moving_variance": "running_var",
}
_PLACEHOLDER = re.compile(r"\\\{(\w+)(\\\*)?\\\}")


@dataclass(frozen=True)
class Pair:
    """Names that face each other; one of the two sides holds exactly one name."""

    reference: tuple[str, ...]
    candidate: tuple[str, ...]
    transpose: bool = False
    axis: int = 0
    by: str = "name"


@dataclass(frozen=True)
class Pairing:
    """All pairs, and the names that face nobody."""

    pairs: tuple[Pair, ...]
    reference_only: tuple[str, ...]
    candidate_only: tuple[str, ...]


def _pattern(template: str) -> re.Pattern[str]:
    def group(match: re.Match[str]) -> str:
        name, many = match.groups()
        return f"(?P<{name}>.+)" if many else rf"(?P<{name}>[^.]+)"

    try:
        return re.compile(_PLACEHOLDER.sub(group, re.escape(template)))
    except re.error as error:
        raise UsageError(f"rule {template!r}: {error}") from None


def _fill(template: str, values: Mapping[str, str]) -> str:
    try:
        return re.sub(r"\{(\w+)\*?\}", lambda match: values[match[1]], template)
    except KeyError as error:
        raise UsageError(f"rule {template!r}: nothing binds {{{error.args[0]}}}") from None


def matches(template: str, name: str) -> bool:
    """Whether a name has the form of a template."""
    return _pattern(template).fullmatch(name) is not None


def _names(templates: str | tuple[str, ...]) -> tuple[str, ...]:
    return (templates,) if isinstance(templates, str) else templates


def pair(
    reference: Names, candidate: Names, rules: Sequence[Rule], known: Sequence[Pair] = ()
) -> Pairing:
    """Pair by rules, equal names, names in their common form, values, shapes; each name once.

    reference, candidate  names, or {name: shape}; only what both give shapes for is paired by them:
    all that is left of both sides, in order, where shape for shape is equal
    known  what `by_values` found while both sides still had values of their own
    UsageError for a rule with several names on both sides.
    """
    left, right = dict.fromkeys(reference), dict.fromkeys(candidate)
    pairs = _by_rules(left, right, rules)
    for name in list(left):
        if name in right:
            pairs.append(Pair((name,), (name,)))
            del left[name], right[name]
    pairs += _by_form(left, right)
    for p in known:
        if p.reference[0] in left and p.candidate[0] in right:
            pairs.append(p)
            del left[p.reference[0]], right[p.candidate[0]]
    if isinstance(reference, Mapping) and isinstance(candidate, Mapping):
        pairs += _by_shape(left, right, reference, candidate)
    return Pairing(tuple(pairs), tuple(left), tuple(right))


def _by_rules(left: dict[str, None], right: dict[str, None], rules: Sequence[Rule]) -> list[Pair]:
    pairs: list[Pair] = []
    for rule in rules:
        firsts, seconds = _names(rule.reference), _names(rule.candidate)
        if len(firsts) > 1 and len(seconds) > 1:
            raise UsageError(
                f"rule {rule.reference} -> {rule.candidate}: one side must be one name"
            )
        lead = _pattern(firsts[0])
        for name in list(left):
            found = lead.fullmatch(name)
            if not found:
                continue
            ours = tuple(_fill(t, found.groupdict()) for t in firsts)
            theirs = tuple(_fill(t, found.groupdict()) for t in seconds)
            if all(n in left for n in ours) and all(n in right for n in theirs):
                by = f"rule {rule.reference} -> {rule.candidate}"
                pairs.append(Pair(ours, theirs, rule.transpose, rule.axis, by))
                for n in ours:
                    del left[n]
                for n in theirs:
                    del right[n]
    return pairs


def _by_form(left: dict[str, None], right: dict[str, None]) -> list[Pair]:
    """Names that only another spelling tells apart, where it is clear which belong together."""
    pairs = []
    ours, theirs = _by_common_form(left), _by_common_form(right)
    for form, names in ours.items():
        if len(names) == len(theirs.get(form, ())) == 1:
            pairs.append(Pair((names[0],), (theirs[form][0],), by=BY_FORM))
            del left[names[0]], right[theirs[form][0]]
    return pairs


def _by_common_form(names: Iterable[str]) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for name in names:
        head, _, last = name.removeprefix("module.").lower().rpartition(".")
        last = SPELLINGS.get(last, last)
        forms.setdefault(re.sub(r"[^a-z0-9.]", "", f"{head}.{last}"), []).append(name)
    return forms


def by_values(reference: Mapping[str, Array], candidate: Mapping[str, Array]) -> tuple[Pair, ...]:
    """Parameters that hold the same numbers, as where both sides have loaded one checkpoint.

    Bit for bit, as they lie or with the two last axes swapped, and only where no other parameter of
    either side holds them too.
    """
    ours, theirs = _by_content(reference), _by_content(candidate)
    turned = _by_content({n: np.swapaxes(a, -1, -2) for n, a in reference.items() if a.ndim >= 2})
    found: dict[str, Pair] = {}
    for transpose, known in ((False, ours), (True, turned)):
        for content, names in known.items():
            faced = theirs.get(content, [])
            if len(names) == len(faced) == 1 and faced[0] not in found:
                found[faced[0]] = Pair((names[0],), (faced[0],), transpose, by=BY_VALUES)
    once = Counter(p.reference for p in found.values())
    return tuple(p for p in found.values() if once[p.reference] == 1)


def recalled(facts: Mapping[str, Any]) -> tuple[Pair, ...]:
    """What `by_values` found while the candidate was recorded, from the facts of its model."""
    return tuple(
        Pair((ours,), (theirs,), transpose, axis, by)
        for (ours,), (theirs,), transpose, axis, by in facts.get("equal values", ())
    )


def _by_content(arrays: Mapping[str, Array]) -> dict[str, list[str]]:
    contents: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if array.size > 1 and (array != array.flat[0]).any():  # constants tell nothing apart
            described = f"{array.dtype}{array.shape}".encode()
            digest = hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()
            contents.setdefault(digest, []).append(name)
    return contents


def _by_shape(
    left: dict[str, None],
    right: dict[str, None],
    reference: Mapping[str, tuple[int, ...]],
    candidate: Mapping[str, tuple[int, ...]],
) -> list[Pair]:
    """What is left, in order, if shape for shape is equal; step 1 shows if that was wrong."""
    ours, theirs = [reference[n] for n in left], [candidate[n] for n in right]
    if not ours or ours != theirs:
        return []
    pairs = [Pair((a,), (b,), by=BY_SHAPE) for a, b in zip(left, right, strict=True)]
    left.clear()
    right.clear()
    return pairs


def module_rules(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Rules for modules: those of the parameters with the last part dropped, renames only.

    A rule that names a module itself is kept as it is and comes first.
    """
    derived = []
    for rule in rules:
        first, second = rule.reference, rule.candidate
        if isinstance(first, str) and isinstance(second, str):
            derived.append(Rule(first, second))
            if "." in first and "." in second:
                derived.append(Rule(first.rpartition(".")[0], second.rpartition(".")[0]))
    return tuple(dict.fromkeys(derived))


def module_pairs(pairs: Iterable[Pair]) -> dict[str, str]:
    """Candidate's module -> reference's, by the parameters that face each other in them."""
    found = {}
    for p in pairs:
        if len(p.reference) == len(p.candidate) == 1:
            found[p.candidate[0].rpartition(".")[0]] = p.reference[0].rpartition(".")[0]
    return found
