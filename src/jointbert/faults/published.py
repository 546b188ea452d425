"""The published Paddle port as it was: what was found in it, planted together.

Its parts are single faults of the zoo, each planted in what those before have left.
"""

from jointbert.faults import (
    evaluation_data,
    initialisation,
    losses,
    regularisation,
    training_data,
)
from jointbert.faults.planting import composed
from modelparity import Fault

NAMES = (
    "mask-as-index",
    "vocabulary-garbled",
    "decay-names-match-nothing",
    "clip-each-tensor",
    "not-shuffled",
    "heads-by-kaiming",
)
_MODULES = (losses, evaluation_data, regularisation, training_data, initialisation)
_KNOWN = {fault.name: fault for module in _MODULES for fault in module.FAULTS}
PARTS: tuple[Fault, ...] = tuple(_KNOWN[name] for name in NAMES)
_FIRST = min(PARTS, key=lambda fault: fault.step)

FAULTS = (
    Fault(
        "published-port",
        _FIRST.step,
        _FIRST.site,
        f"the published port as it was: {'; '.join(part.cause for part in PARTS)}",
        composed(*(part.override for part in PARTS)),
    ),
)
