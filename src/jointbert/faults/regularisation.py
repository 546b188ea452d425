"""Faults of step 6: clipping, decay and dropout."""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import built, running, under
from modelparity import Fault


def _clip_each(
    _: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    from jointbert.in_paddle.optimize import clip_gradients

    for parameter in model.parameters():
        clip_gradients([parameter], settings["max_grad_norm"])
    optimizer.step()
    schedule.step()


def _frameworks_clip(
    _: Callable[..., None],
    __: Any,
    optimizer: Any,
    schedule: Any,
    settings: Any,
) -> None:
    from paddle.nn import ClipGradByGlobalNorm

    optimizer._grad_clip = ClipGradByGlobalNorm(settings["max_grad_norm"])
    optimizer.step()
    schedule.step()


def _decay_after(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    import paddle

    rate = optimizer.get_lr()
    _without_decay(update, model, optimizer, schedule, settings)
    with paddle.no_grad():
        for parameter in _decayed(model, optimizer):
            parameter.scale_(1.0 - rate * settings["weight_decay"])


def _decay_in_gradient(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    import paddle

    with paddle.no_grad():
        for parameter in _decayed(model, optimizer):
            parameter.grad.add_(parameter * settings["weight_decay"])
    _without_decay(update, model, optimizer, schedule, settings)


def _decayed(model: Any, optimizer: Any) -> list[Any]:
    asked = optimizer._apply_decay_param_fun
    return [p for p in model.parameters() if p.grad is not None and asked(p.name)]


def _without_decay(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    asked = optimizer._apply_decay_param_fun
    optimizer._apply_decay_param_fun = lambda _: False
    try:
        update(model, optimizer, schedule, settings)
    finally:
        optimizer._apply_decay_param_fun = asked


def _other_rate(model: Any) -> None:
    model.intent_classifier.dropout.p *= 2.0


def _keep_attention(model: Any) -> None:
    model.bert.encoder.layer[1].attention.self.dropout.p = 0.0


FAULTS = (
    Fault(
        "clip-each-tensor",
        6,
        "clip/above",
        "every gradient is clipped by its own norm, not by that of all",
        running("update", _clip_each),
    ),
    Fault(
        "clip-without-epsilon",
        6,
        "clip/above",
        "Paddle's ClipGradByGlobalNorm, which does not add PyTorch's 1e-6 to the norm",
        running("update", _frameworks_clip),
    ),
    Fault(
        "decay-on-biases",
        6,
        "bias",
        "biases decay",
        under("build_optimizer", "optimize", UNDECAYED=("LayerNorm.weight",)),
    ),
    Fault(
        "decay-on-layernorm",
        6,
        "LayerNorm.weight",
        "LayerNorm's weights decay",
        under("build_optimizer", "optimize", UNDECAYED=("bias",)),
    ),
    Fault(
        "decay-names-match-nothing",
        6,
        "decay",
        "what should not decay is named as in PyTorch, which matches none of Paddle's own names",
        under("build_optimizer", "optimize", UNDECAYED=()),
    ),
    Fault(
        "decay-in-gradient",
        6,
        "zero/",
        "the decay is added to the gradient, as in Adam with L2 regularisation",
        running("update", _decay_in_gradient),
    ),
    Fault(
        "decay-after-update",
        6,
        "gradient/",
        "updated parameters decay, not those before the update",
        running("update", _decay_after),
    ),
    Fault(
        "dropout-rate",
        6,
        "intent_classifier.dropout",
        "twice the rate",
        built(_other_rate),
    ),
    Fault(
        "attention-without-dropout",
        6,
        "bert.encoder.layer.1.attention.self",
        "attention's probabilities are never dropped",
        built(_keep_attention),
    ),
)
