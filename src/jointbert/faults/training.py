"""Faults of step 10: what only a longer training with dropout shows.

They strike behind the 24 updates of step 7, or only in training mode.
"""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import running
from modelparity import Fault

LOST, EVALUATED = 25, 30


def _moments_lost(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    if schedule.last_epoch == LOST:
        for kind in (optimizer._moment1_acc_str, optimizer._moment2_acc_str):
            for moment in optimizer._accumulators[kind].values():
                moment.zero_()
    update(model, optimizer, schedule, settings)


def _left_in_evaluation(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    update(model, optimizer, schedule, settings)
    if schedule.last_epoch == EVALUATED:
        model.eval()


FAULTS = (
    Fault(
        "moments-lost",
        10,
        f"update {LOST + 1}",
        f"training resumes at update {LOST} without the optimizer's moments",
        running("update", _moments_lost),
    ),
    Fault(
        "left-in-evaluation-mode",
        10,
        f"update {EVALUATED}",
        f"after an evaluation at update {EVALUATED} the model stays in evaluation mode",
        running("update", _left_in_evaluation),
    ),
)
