"""Which tensor faces which: by the rules that were given and by equal names, never by guessing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelparity.errors import UsageError
from modelparity.model import Rule
from modelparity.pairing import GUESSED, matches, pair


@dataclass(frozen=True)
class Facing:
    """Two tensors that face each other, and the rule that said so ("" for equal names)."""

    reference: str
    candidate: str
    transpose: bool = False
    rule: str = ""


@dataclass(frozen=True)
class Names:
    """All that face each other, in the reference's order, and those that face nobody.

    guesses  reference's name -> candidate's, of another spelling: suggested, never compared
    matched  each rule as it was given, and how many tensors it matched
    """

    facing: tuple[Facing, ...]
    reference_only: tuple[str, ...]
    candidate_only: tuple[str, ...]
    guesses: dict[str, str]
    matched: dict[str, int]


def renaming(text: str) -> Rule:
    """A rule from "REFERENCE -> CANDIDATE" or "REFERENCE=CANDIDATE"; UsageError for other texts."""
    arrow = "->" if "->" in text else "="
    first, _, second = (part.strip() for part in text.partition(arrow))
    if not first or not second or arrow in second:
        raise UsageError(f"--rename {text!r}: expected 'REFERENCE -> CANDIDATE'")
    return Rule(first, second)


def face(
    reference: Iterable[str],
    candidate: Iterable[str],
    *,
    rename: Sequence[str] = (),
    transpose: Sequence[str] = (),
) -> Names:
    """Pair the names of two files.

    rename     "REFERENCE -> CANDIDATE" templates: `{layer}` stands for one dotted part,
               `{path*}` for any number of them
    transpose  templates of reference names whose two last axes are swapped
    UsageError for a rule that cannot be read.
    """
    order = {name: place for place, name in enumerate(reference)}
    rules = [renaming(text) for text in rename]
    by_rule = {
        f"rule {r.reference} -> {r.candidate}": t for r, t in zip(rules, rename, strict=True)
    }
    matched = {f"--rename {text}": 0 for text in rename}
    matched |= {f"--transpose {text}": 0 for text in transpose}
    pairing = pair(order, candidate, rules)
    facing, guesses = [], {}
    for p in pairing.pairs:
        if p.by in GUESSED:
            guesses[p.reference[0]] = p.candidate[0]
            continue
        used = by_rule.get(p.by, "")
        if used:
            matched[f"--rename {used}"] += 1
        swapped = next((t for t in transpose if matches(t, p.reference[0])), None)
        if swapped is not None:
            matched[f"--transpose {swapped}"] += 1
        rule = used if used else ""
        facing.append(Facing(p.reference[0], p.candidate[0], swapped is not None, rule))
    facing.sort(key=lambda f: order[f.reference])
    alone = sorted([*pairing.reference_only, *guesses], key=order.__getitem__)
    extra = (*pairing.candidate_only, *guesses.values())
    return Names(tuple(facing), tuple(alone), extra, guesses, matched)
