"""What a PyTorch optimizer was configured with, parameter by parameter."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

FLAGS = ("nesterov", "amsgrad")
DECOUPLED = ("adamw",)  # kinds that are so in releases whose groups do not say it themselves


def names_of(model: nn.Module) -> dict[int, str]:
    """The names of what is trained, by the parameters' ids."""
    return {id(p): name for name, p in model.named_parameters() if p.requires_grad}


def held_by(
    optimizer: Any, names: Mapping[int, str]
) -> Iterator[tuple[str, Tensor, dict[str, Any]]]:
    """(name, parameter, group) of every parameter with a name that the optimizer has."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) in names:
                yield names[id(parameter)], parameter, group


def optimizer_configuration(model: nn.Module, optimizer: Any) -> dict[str, Any]:
    """Kind, betas, eps, and the decay of every parameter.

    A value that differs between groups is given as {parameter name: value}. `coupled` says that
    the decay is added to the gradient. SGD with a momentum is of the kind "momentum". A class of
    one's own counts as what it inherits from; of one that is none of PyTorch's nothing is known
    but its settings.
    """
    kind = _kind(optimizer)
    values: dict[str, dict[str, Any]] = {}
    decay: dict[str, float] = {}
    decoupled = kind in DECOUPLED
    for name, _, group in held_by(optimizer, names_of(model)):
        decay[name] = float(group.get("weight_decay", 0.0))
        decoupled = bool(group.get("decoupled_weight_decay", decoupled))
        for key, value in _settings(group).items():
            values.setdefault(key, {})[name] = value
    found = {key: _one(given) for key, given in values.items()}
    if kind == "sgd":
        kind = "momentum" if found.get("momentum", 0.0) else "sgd"
        found = found if kind == "momentum" else {}
    if kind == "adam" and decoupled:
        kind = "adamw"
    known = {"kind": kind, "coupled": not decoupled} if kind else {}
    return {**known, **found, "decay": decay}


def _kind(optimizer: Any) -> str:
    """The name of the framework's class that an optimizer is an instance of; "" for none."""
    kinds = (c for c in type(optimizer).__mro__ if c.__module__.startswith("torch.optim."))
    return next((c.__name__.lower() for c in kinds if c is not Optimizer), "")


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "betas" in group:
        found["beta1"], found["beta2"] = map(float, group["betas"])
    found.update({key: float(group[key]) for key in ("eps", "momentum") if key in group})
    found.update({key: bool(group[key]) for key in FLAGS if key in group})
    if group.get("dampening", 0.0):  # Paddle has none, so that it is named only where it acts
        found["dampening"] = float(group["dampening"])
    if group.get("maximize", False):
        found["maximize"] = True
    return found


def _one(values: Mapping[str, Any]) -> Any:
    distinct = list(dict.fromkeys(values.values()))
    return distinct[0] if len(distinct) == 1 else dict(values)
