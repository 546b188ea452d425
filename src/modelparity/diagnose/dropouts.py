"""Mistakes in where dropout acts: under the same masks, on something else than in the reference."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis

Array = np.ndarray[Any, Any]


def hypotheses(
    reference: Array, left: Mapping[str, Array], given: Mapping[str, Array]
) -> Iterator[Hypothesis]:
    """What a module would be fed if a dropout before it acted elsewhere, or not at all.

    reference  what it is fed, or makes; left, given  what each dropout leaves, and what it was
    given, by name
    """
    for name, whole in given.items():
        dropped = left[name]
        if dropped.shape != reference.shape or whole.shape != reference.shape:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where(whole == 0.0, 0.0, dropped / whole)
        undropped = reference - dropped + whole
        yield f"what {name} is given comes here undropped", undropped
        yield f"{name} drops the whole of it, not what it is given", kept * undropped
        rest = reference - dropped
        yield f"{name} drops what its output is added to", whole + kept * rest
        yield f"{name} drops twice", reference - dropped + kept * dropped
