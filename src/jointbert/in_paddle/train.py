"""A plain training loop, made of the same functions that the ladder judges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import paddle

from jointbert.in_paddle.data import encode, training_batches, training_order
from jointbert.in_paddle.metrics import Result, evaluate
from jointbert.in_paddle.model import JointBert, build_model
from jointbert.in_paddle.optimize import build_optimizer, update


@dataclass(frozen=True)
class Trained:
    """A finished training.

    model        with the parameters of the best epoch, in evaluation mode
    losses       of every update
    evaluations  of the dev split after each epoch; `best` is the index of the best one
    """

    model: JointBert
    losses: tuple[float, ...]
    evaluations: tuple[Result, ...]
    best: int


def fit(
    settings: Mapping[str, Any], on_update: Callable[[int, int, float], None] | None = None
) -> Trained:
    """Train for `epochs` and keep the epoch of the best dev semantic-frame accuracy.

    Equal accuracies are told apart by the dev loss. `on_update` gets the number of updates done,
    their total and the last loss. Seeds Paddle's generator with `seed`.
    """
    paddle.seed(settings["seed"])
    model = build_model(settings)
    updates = settings["epochs"] * len(training_order(settings, encode(settings, "train"), 0))
    optimizer, schedule = build_optimizer(model, settings, updates)
    losses: list[float] = []
    evaluations: list[Result] = []
    best, kept = -1, {}
    for epoch in range(settings["epochs"]):
        model.train()
        for batch in training_batches(settings, epoch):
            outputs = model(**{name: paddle.to_tensor(array) for name, array in batch.items()})
            outputs["loss"].backward()
            update(model, optimizer, schedule, settings)
            optimizer.clear_grad(set_to_zero=False)
            losses.append(outputs["loss"].item())
            if on_update is not None:
                on_update(len(losses), updates, losses[-1])
        evaluations.append(evaluate(model, settings, "dev"))
        if best < 0 or _rank(evaluations[-1]) > _rank(evaluations[best]):
            best = epoch
            kept = {name: value.clone() for name, value in model.state_dict().items()}
    model.set_state_dict(kept)
    model.eval()
    return Trained(model, tuple(losses), tuple(evaluations), best)


def _rank(result: Result) -> tuple[float, float]:
    return float(result["semantic_frame_acc"]), -float(result["loss"])
