"""Faults of step 5: updates use another learning rate."""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import running, with_settings
from modelparity import Fault


def _schedule_first(
    _: Callable[..., None], model: Any, optimizer: Any, schedule: Any, settings: Any
) -> None:
    from jointbert.in_paddle.optimize import clip_gradients

    clip_gradients(model.parameters(), settings["max_grad_norm"])
    schedule.step()
    optimizer.step()


def _ends_early(build: Callable[..., Any], model: Any, settings: Any, updates: int) -> Any:
    return build(model, settings, updates - 1)


def _below_zero(build: Callable[..., Any], model: Any, settings: Any, updates: int) -> Any:
    optimizer, schedule = build(model, settings, updates)
    factor, warmup = schedule.lr_lambda, settings["warmup_steps"]

    def unbounded(update: int) -> float:
        if update <= updates or settings["schedule"] == "constant":
            return float(factor(update))
        return (updates - update) / float(updates - warmup)

    schedule.lr_lambda = unbounded
    return optimizer, schedule


FAULTS = (
    Fault(
        "schedule-steps-first",
        5,
        "step 0",
        "the schedule advances before the optimizer, so every rate comes one update early",
        running("update", _schedule_first),
    ),
    Fault(
        "warmup-ignored",
        5,
        "warmup_steps=40",
        "the rate starts at its peak whatever warmup_steps says",
        with_settings("build_optimizer", 1, warmup_steps=0),
    ),
    Fault(
        "schedule-ends-early",
        5,
        "step 1",
        "the rate reaches zero one update before the last",
        running("build_optimizer", _ends_early),
    ),
    Fault(
        "rate-below-zero",
        5,
        "step 181",
        "behind the last update the rate falls on, below zero",
        running("build_optimizer", _below_zero),
    ),
)
