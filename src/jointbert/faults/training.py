# mypy: allow-subclassing-any
"""Faults of step 10: what only a longer training with dropout shows.

They strike behind the 24 updates of step 7, only in training mode, or in what is done with a model
that was trained.
"""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import Functions, built, running
from modelparity import Fault

# Numbers of updates, all behind those of step 7.
LOST, UNCLIPPED, EVALUATED, FROZEN, RESTARTED = 25, 28, 30, 32, 36
SAVED = 20  # updates from one copy to the next
REPEATED = 2  # update 1 is of a single example, whose mask has a shape of its own


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


def _clipped_at_first(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    limit = settings["max_grad_norm"] if schedule.last_epoch < UNCLIPPED else float("inf")
    update(model, optimizer, schedule, {**settings, "max_grad_norm": limit})


def _frozen_later(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    if schedule.last_epoch == FROZEN:
        model.bert.embeddings.word_embeddings.weight.stop_gradient = True
    update(model, optimizer, schedule, settings)


def _counted_anew(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    if schedule.last_epoch == RESTARTED:
        for kind, beta in (
            (optimizer._beta1_pow_acc_str, optimizer._beta1),
            (optimizer._beta2_pow_acc_str, optimizer._beta2),
        ):
            for power in optimizer._accumulators[kind].values():
                power.fill_(beta)
    update(model, optimizer, schedule, settings)


def _kept_mask(model: Any) -> None:
    import paddle
    from paddle.nn import functional

    dropout, masks = model.intent_classifier.dropout, dict[tuple[int, ...], Any]()

    def forward(states: Any) -> Any:
        if not dropout.training:
            return functional.dropout(states, dropout.p, training=False)
        shape = tuple(states.shape)
        if shape not in masks:
            masks[shape] = functional.dropout(paddle.ones_like(states), dropout.p)
        return states * masks[shape]

    dropout.forward = forward


def _redrawn(model: Any) -> None:
    from paddle.autograd import PyLayer
    from paddle.nn import functional

    class Redrawn(PyLayer):
        @staticmethod
        def forward(context: Any, states: Any, rate: float) -> Any:
            context.rate = rate
            return functional.dropout(states, rate)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return functional.dropout(gradient, context.rate)

    dropout = model.slot_classifier.dropout
    plain = dropout.forward
    dropout.forward = lambda states: (
        Redrawn.apply(states, dropout.p) if dropout.training else plain(states)
    )


def _old_copy(functions: Functions) -> Functions:
    def copied(model: Any) -> dict[str, Any]:
        return {name: p.detach().clone() for name, p in model.state_dict().items()}

    def update(model: Any, optimizer: Any, schedule: Any, settings: Any) -> None:
        functions["update"](model, optimizer, schedule, settings)
        if schedule.last_epoch % SAVED == 0:
            model.old_copy = copied(model)

    def evaluate(model: Any, *arguments: Any) -> Any:
        present = copied(model)
        model.set_state_dict(getattr(model, "old_copy", present))
        try:
            return functions["evaluate"](model, *arguments)
        finally:
            model.set_state_dict(present)

    return {"update": update, "evaluate": evaluate}


FAULTS = (
    Fault(
        "moments-lost",
        10,
        f"update {LOST + 1}:",
        f"training resumes at update {LOST} without the optimizer's moments",
        running("update", _moments_lost),
    ),
    Fault(
        "left-in-evaluation-mode",
        10,
        f"update {EVALUATED}:",
        f"after an evaluation at update {EVALUATED} the model stays in evaluation mode",
        running("update", _left_in_evaluation),
    ),
    Fault(
        "clipping-ends",
        10,
        f"update {UNCLIPPED + 1}:",
        f"gradients are clipped only before update {UNCLIPPED}",
        running("update", _clipped_at_first),
    ),
    Fault(
        "correction-restarted",
        10,
        f"update {RESTARTED + 1}:",
        f"at update {RESTARTED}, an epoch's first, the count of updates starts again, the moments"
        " do not",
        running("update", _counted_anew),
    ),
    Fault(
        "mask-kept",
        10,
        f"update {REPEATED}:",
        "dropout draws its mask once and keeps it for all updates",
        built(_kept_mask),
    ),
    Fault(
        "mask-redrawn-in-backward",
        10,
        "update 1:",
        "the gradient is dropped by another mask than the states, as where recomputing draws again",
        built(_redrawn),
    ),
    Fault(
        "words-frozen-later",
        10,
        f"update {FROZEN + 1}:",
        f"from update {FROZEN} on the word embeddings do not learn",
        running("update", _frozen_later),
    ),
    Fault(
        "old-copy-evaluated",
        10,
        "score/dev",
        f"what is scored is a copy of the model that is made anew every {SAVED} updates",
        _old_copy,
    ),
)
