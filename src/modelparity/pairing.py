"""Which names face each other, which face nobody, and how their arrays are laid out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelparity.errors import UsageError
from modelparity.model import Rule

Array = np.ndarray[Any, Any]
Names = Iterable[str] | Mapping[str, tuple[int, ...]]

GUESSED = BY_FORM, BY_SHAPE = "normalised name", "shape and order"

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


def pair(reference: Names, candidate: Names, rules: Sequence[Rule]) -> Pairing:
    """Pair by rules, by equal names, by names in their common form, by shapes; each name once.

    reference, candidate  names, or {name: shape}; only what both give shapes for is paired by them:
    all that is left of both sides, in order, where shape for shape is equal
    UsageError for a rule with several names on both sides.
    """
    left, right = dict.fromkeys(reference), dict.fromkeys(candidate)
    pairs = _by_rules(left, right, rules)
    for name in list(left):
        if name in right:
            pairs.append(Pair((name,), (name,)))
            del left[name], right[name]
    pairs += _by_form(left, right)
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


def _swap(array: Array) -> Array:
    return np.swapaxes(array, -1, -2) if array.ndim >= 2 else array


def _join(arrays: Sequence[Array], axis: int) -> list[Array] | None:
    try:
        return [np.concatenate(arrays, axis=axis)]
    except ValueError:  # shapes that do not fit
        return None


def _split(array: Array, shapes: Sequence[tuple[int, ...]], axis: int) -> list[Array] | None:
    if not all(-len(shape) <= axis < len(shape) for shape in (array.shape, *shapes)):
        return None
    sizes = [shape[axis] for shape in shapes]
    if sum(sizes) != array.shape[axis]:
        return None
    return np.split(array, np.cumsum(sizes)[:-1], axis=axis)


def to_candidate(
    pairing: Pairing, arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Reference arrays in the candidate's names and layout; `shapes` are the candidate's.

    Pairs whose arrays are absent, or do not fit together, are left out: the comparison of the
    parameters themselves reports those.
    """
    result: dict[str, Array] = {}
    for p in pairing.pairs:
        if not all(name in arrays for name in p.reference):
            continue
        laid = [_swap(arrays[n]) if p.transpose else arrays[n] for n in p.reference]
        parts: list[Array] | None = laid
        if len(p.reference) > 1:
            parts = _join(laid, p.axis)
        elif len(p.candidate) > 1:
            parts = _split(laid[0], [shapes[n] for n in p.candidate], p.axis)
        if parts is not None:
            result.update(zip(p.candidate, parts, strict=True))
    return result


def to_reference(
    pairing: Pairing, arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Candidate arrays in the reference's names and layout; `shapes` are the reference's.

    Arrays that face nobody, or do not fit together, keep their own names and layout.
    """
    result: dict[str, Array] = {}
    rest = dict(arrays)
    for p in pairing.pairs:
        if not all(name in arrays for name in p.candidate):
            continue
        laid = [arrays[n] for n in p.candidate]
        parts: list[Array] | None = laid
        if len(p.candidate) > 1:
            parts = _join(laid, p.axis)
        elif len(p.reference) > 1:
            faced = [_laid_shape(shapes[n], p.transpose) for n in p.reference]
            parts = _split(laid[0], faced, p.axis)
        if parts is None:
            continue
        for name in p.candidate:
            del rest[name]
        result.update(
            (name, _swap(part) if p.transpose else part)
            for name, part in zip(p.reference, parts, strict=True)
        )
    return {**result, **rest}


def _laid_shape(shape: tuple[int, ...], transpose: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if transpose and len(shape) >= 2 else shape


def rename(pairing: Pairing, values: Mapping[str, Any]) -> dict[str, Any]:
    """The candidate's values, one a name, under the reference's names.

    Where several candidate names face one reference name their values must agree; if they do not,
    and for names that face nobody, the candidate's own names stay.
    """
    result: dict[str, Any] = {}
    rest = dict(values)
    for p in pairing.pairs:
        if not all(name in values for name in p.candidate):
            continue
        first = values[p.candidate[0]]
        if all(np.array_equal(values[name], first) for name in p.candidate):
            result.update((name, first) for name in p.reference)
            for name in p.candidate:
                del rest[name]
    return {**result, **rest}
