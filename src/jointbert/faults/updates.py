"""Faults of step 7 that only several updates from real gradients show."""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import running
from modelparity import Fault

EPOCH = 18  # updates of an epoch of the embedded task


def _lazy(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    import paddle

    weight, rate = model.bert.embeddings.word_embeddings.weight, optimizer.get_lr()
    state = optimizer.moments(weight)
    if weight.grad is None or not state:
        update(model, optimizer, schedule, settings)
        return
    decays = optimizer._apply_decay_param_fun(weight.name)
    shrunk = 1.0 - rate * settings["weight_decay"] if decays else 1.0
    moments = [state[optimizer._moment1_acc_str], state[optimizer._moment2_acc_str]]
    with paddle.no_grad():
        resting = (weight.grad == 0.0).all(axis=1, keepdim=True)
        before = [weight * shrunk, *(moment.clone() for moment in moments)]
    update(model, optimizer, schedule, settings)
    with paddle.no_grad():
        for tensor, old in zip([weight, *moments], before, strict=True):
            tensor.set_value(paddle.where(resting, old, tensor))


def _anew(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    if schedule.last_epoch and schedule.last_epoch % EPOCH == 0:
        starts = {
            optimizer._beta1_pow_acc_str: optimizer._beta1,
            optimizer._beta2_pow_acc_str: optimizer._beta2,
        }
        for kind, held in optimizer._accumulators.items():
            for tensor in held.values():
                tensor.fill_(starts.get(kind, 0.0))
    update(model, optimizer, schedule, settings)


FAULTS = (
    Fault(
        "lazy-rows",
        7,
        "training/loss",
        "rows of the word embeddings without a gradient rest, as in lazy Adam",
        running("update", _lazy),
    ),
    Fault(
        "optimizer-anew-each-epoch",
        7,
        f"update {EPOCH + 1}:",
        "each epoch makes a new optimizer, without moments and counting from the first update",
        running("update", _anew),
    ),
)
