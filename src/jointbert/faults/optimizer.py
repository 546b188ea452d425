"""Faults of step 4: the same gradients become other parameters."""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import Functions, running, under, with_settings
from modelparity import Fault


def _other_betas(functions: Functions) -> Functions:
    names = ("build_optimizer", "update")
    planted = (under(name, "optimize", BETAS=(0.9, 0.99))(functions) for name in names)
    return {name: function for one in planted for name, function in one.items()}


def _uncorrected(build: Callable[..., Any], *arguments: Any) -> Any:
    optimizer, schedule = build(*arguments)
    add = optimizer._add_accumulator

    def add_accumulator(name: str, *rest: Any, **options: Any) -> Any:
        # Powers of beta that start from zero stay zero: every correction is by 1.
        if name in (optimizer._beta1_pow_acc_str, optimizer._beta2_pow_acc_str):
            options["fill_value"] = 0.0
        return add(name, *rest, **options)

    optimizer._add_accumulator = add_accumulator
    return optimizer, schedule


def _early_eps(
    update: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    correction = 1.0 - optimizer._beta2 ** (schedule.last_epoch + 1)
    optimizer._epsilon = settings["adam_epsilon"] / correction**0.5
    update(model, optimizer, schedule, settings)


FAULTS = (
    Fault(
        "adam-eps",
        4,
        "optimizer.eps",
        "eps is 1e-6 in place of 1e-8",
        with_settings("build_optimizer", 1, adam_epsilon=1e-6),
    ),
    Fault(
        "adam-beta2",
        4,
        "optimizer.beta2",
        "beta2 is 0.99 in place of 0.999",
        _other_betas,
    ),
    Fault(
        "adam-uncorrected",
        4,
        "update.0",
        "the moments' bias is not corrected, as in BERT's own optimizer",
        running("build_optimizer", _uncorrected),
    ),
    Fault(
        "adam-eps-uncorrected",
        4,
        "update.0",
        "eps is added before the second moment's bias is corrected, not after",
        running("update", _early_eps),
    ),
)
