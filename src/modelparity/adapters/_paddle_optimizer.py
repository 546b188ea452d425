"""What a Paddle optimizer was configured with, parameter by parameter."""

from collections.abc import Mapping
from typing import Any

from paddle import nn
from paddle.optimizer import AdamW, Optimizer
from paddle.regularizer import L1Decay, L2Decay

from modelparity.errors import ParityError

# common key: (the key in a group, the optimizer's own attribute). An update leaves the last
# group's values in the attributes, so that the group is asked first.
KEYS = {
    "beta1": ("beta1", "_beta1"),
    "beta2": ("beta2", "_beta2"),
    "eps": ("epsilon", "_epsilon"),
    "momentum": ("momentum", "_momentum"),
    "nesterov": ("use_nesterov", "_use_nesterov"),
    "amsgrad": ("amsgrad", "_amsgrad"),
}
FLAGS = ("nesterov", "amsgrad")


def names_of(model: nn.Layer) -> dict[str, str]:
    """Paddle's generated names -> structured names, of what is trained.

    BatchNorm's running statistics are parameters in Paddle; the optimizer passes over them.
    """
    return {p.name: name for name, p in model.named_parameters() if not p.stop_gradient}


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """The parameter groups; one of its own where the optimizer was given a list."""
    groups = optimizer._param_groups
    return list(groups) if groups and isinstance(groups[0], dict) else [{"params": groups}]


def rates(optimizer: Any, names: Mapping[str, str]) -> dict[str, float]:
    """The rate of every parameter: the scheduler's times the parameter's (or group's) factor."""
    rate, ratio = float(optimizer.get_lr()), getattr(optimizer, "_lr_ratio", None)
    found = {}
    for group in groups_of(optimizer):
        for parameter in group["params"]:
            if parameter.name in names:
                factor = float((parameter.optimize_attr or {}).get("learning_rate", 1.0))
                layerwise = 1.0 if ratio is None else float(ratio(parameter))
                found[names[parameter.name]] = rate * factor * layerwise
    return found


def optimizer_configuration(model: nn.Layer, optimizer: Any) -> dict[str, Any]:
    """Kind, betas, eps, and the decay of every parameter.

    A value that differs between groups is given as {parameter name: value}. `coupled` says that
    the decay is added to the gradient; coupled L1 decays, and coupled decays beside AdamW's own,
    stand under `l1_decay` and `coupled_decay`. A class of one's own counts as what it inherits
    from; of one that is none of Paddle's nothing is known but its settings.
    """
    names = names_of(model)
    kind = _kind(optimizer)
    values: dict[str, dict[str, Any]] = {}
    decays: dict[str, dict[str, float]] = {"decay": {}}
    for group in groups_of(optimizer):
        for parameter in group["params"]:
            if parameter.name in names:
                name = names[parameter.name]
                for key, value in _settings(group, optimizer).items():
                    values.setdefault(key, {})[name] = value
                for key, coefficient in _decays(parameter, group, optimizer).items():
                    decays.setdefault(key, {})[name] = coefficient
    found = {key: _one(given) for key, given in values.items()}
    if kind == "momentum" and not found.get("momentum", 0.0):
        found, kind = {}, "sgd"  # as PyTorch calls it
    known = {"kind": kind, "coupled": not isinstance(optimizer, AdamW)} if kind else {}
    return {**known, **found, **decays}


def _kind(optimizer: Any) -> str:
    """The name of the framework's class that an optimizer is an instance of; "" for none."""
    kinds = (c for c in type(optimizer).__mro__ if c.__module__.startswith("paddle.optimizer."))
    return next((c.__name__.lower() for c in kinds if c is not Optimizer), "")


def _settings(group: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, (own, attribute) in KEYS.items():
        value = group.get(own, getattr(optimizer, attribute, None))
        if value is not None:
            found[key] = bool(value) if key in FLAGS else float(value)
    return found


def _one(values: Mapping[str, Any]) -> Any:
    distinct = list(dict.fromkeys(values.values()))
    return distinct[0] if len(distinct) == 1 else dict(values)


def _decays(parameter: Any, group: Mapping[str, Any], optimizer: Any) -> dict[str, float]:
    """What decays one parameter, by the kind of decay."""
    regularizer = getattr(parameter, "regularizer", None)
    if isinstance(optimizer, AdamW):
        asked = optimizer._apply_decay_param_fun
        exempt = asked is not None and not asked(parameter.name)
        own = group.get("weight_decay", optimizer._weight_decay)
        found = {"decay": 0.0 if exempt else _coefficient(own)}
        beside = regularizer if regularizer is not None else optimizer.regularization
        if beside is not None:
            found["coupled_decay"] = _coefficient(beside)
        return found
    # A parameter's own regularizer comes before the optimizer's; groups write theirs into it.
    # Momentum keeps an L2 decay as a number, for its fused rule.
    kept = (regularizer, optimizer.regularization)
    effective = next((one for one in kept if one is not None), None)
    if effective is None:
        effective = group.get(
            "regularization_coeff", getattr(optimizer, "_regularization_coeff", None)
        )
    if isinstance(effective, L1Decay):
        return {"decay": 0.0, "l1_decay": _coefficient(effective)}
    return {"decay": _coefficient(effective)}


def _coefficient(decay: Any) -> float:
    if isinstance(decay, L1Decay | L2Decay):
        return float(decay._coeff)
    if decay is None or isinstance(decay, int | float):
        return float(decay or 0.0)
    raise ParityError(
        f"decay {type(decay).__name__}: its coefficient is unknown; use L1Decay or L2Decay"
    )
