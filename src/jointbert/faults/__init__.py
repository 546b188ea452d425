"""Classic porting bugs, ready to plant in the port: `modelparity run jointbert --fault NAME`.

One file a step, which is the step whose verdict must turn red first. What grew too long for one
(`attention`, `losses`, `encoding`, `updates`) is part of its step's; `published` is a port made of
several. A fault's site is a place that the verdict's reason names. `equivalent` faults change
nothing that numbers can show.
"""

from jointbert.faults import (
    backward,
    evaluation_data,
    forward,
    initialisation,
    learning_rate,
    metrics,
    optimizer,
    published,
    regularisation,
    training,
    training_data,
)
from modelparity import Fault

FAULTS: tuple[Fault, ...] = (
    *published.FAULTS,
    *forward.FAULTS,
    *evaluation_data.FAULTS,
    *metrics.FAULTS,
    *optimizer.FAULTS,
    *learning_rate.FAULTS,
    *regularisation.FAULTS,
    *backward.FAULTS,
    *training_data.FAULTS,
    *initialisation.FAULTS,
    *training.FAULTS,
)
