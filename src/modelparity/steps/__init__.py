"""The ladder: ten steps in the order in which they lean on each other."""

from collections.abc import Mapping
from types import ModuleType

from modelparity.steps import (
    backward,
    envelope,
    equivalence,
    evaluation_data,
    forward,
    initialisation,
    learning_rate,
    metrics,
    optimizer,
    regularisation,
    start,
    training,
    training_data,
)

STEPS: tuple[ModuleType, ...] = (
    forward,
    evaluation_data,
    metrics,
    optimizer,
    learning_rate,
    regularisation,
    backward,
    training_data,
    initialisation,
    training,
)

# What a red step may follow from: the earlier steps whose claims it takes for granted.
LEANS_ON: dict[int, tuple[int, ...]] = {
    3: (1, 2),
    6: (1, 4),
    7: (1, 4, 6),
    9: (1,),
    10: (1, 3, 4, 5, 6, 7),
}

START = start
# What steps have recorded by the reference alone, when all that the candidate needs is there.
BESIDE: Mapping[int, tuple[envelope.Nudged, ...]] = {training.NUMBER: envelope.PARTS}
# What steps have trained over seeds by either side, where the case's settings ask for it.
OVER_SEEDS: Mapping[int, ModuleType] = {training.NUMBER: equivalence}
