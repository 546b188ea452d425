"""Two faults at once: a case whose planted faults are pairs of another's, named `first+second`.

A recorder's process finds it as `fault_pairs` with this directory on PYTHONPATH; the case in whose
place it stands is named by the environment.
"""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from jointbert.faults.planting import composed
from modelparity import Fault
from modelparity.cases import load_case, load_faults
from modelparity.sides import FUNCTIONS

NAME = "fault_pairs:CASE"
OF = "MODELPARITY_PAIRS_OF"

Functions = Mapping[str, Any]


def replaced(fault: Fault) -> frozenset[str]:
    """Which functions of a side a fault replaces."""
    return frozenset(fault.override(dict.fromkeys(FUNCTIONS, lambda *_: None)))


def fit(first: Fault, second: Fault) -> bool:
    """Whether neither can hide the other.

    They strike at different steps or places. A fault may replace a function without calling it, so
    both may share none; but `build_model` may be shared: such faults change what was built.
    """
    if (first.step, first.site) == (second.step, second.site):
        return False
    apart = first.step != second.step or first.step == 1
    return apart and replaced(first) & replaced(second) <= {"build_model"}


def joined(first: Fault, second: Fault) -> Fault:
    """Both at once; its step is the earlier one's."""
    early = min(first, second, key=lambda fault: fault.step)
    name, cause = f"{first.name}+{second.name}", f"{first.cause}; {second.cause}"
    return Fault(name, early.step, early.site, cause, composed(first.override, second.override))


def drawn(faults: Sequence[Fault], count: int, seed: int) -> list[tuple[Fault, Fault]]:
    """Pairs of faults that can stand together, the same for a seed."""
    wrong = [fault for fault in faults if not fault.equivalent]
    pairs = [pair for pair in combinations(wrong, 2) if fit(*pair)]
    return random.Random(seed).sample(pairs, min(count, len(pairs)))


def __getattr__(name: str) -> object:
    """CASE and FAULTS, made when a recorder's process asks for them."""
    if name not in ("CASE", "FAULTS"):
        raise AttributeError(name)
    case = load_case(os.environ[OF])
    if name == "CASE":
        return replace(case, faults="fault_pairs:FAULTS")
    wrong = [fault for fault in load_faults(case) if not fault.equivalent]
    return tuple(joined(*pair) for pair in combinations(wrong, 2) if fit(*pair))
