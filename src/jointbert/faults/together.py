"""Faults of a training in several processes: `modelparity run jointbert.two_processes:TORCH`.

Each is planted in both processes of the candidate, in either framework.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from jointbert.faults.planting import Functions, Override
from modelparity import Fault


def _planted(change: Callable[[ModuleType, ModuleType], None]) -> Override:
    """What `change` does to the modules `together` and `together_adapter`, for good."""

    def override(functions: Functions) -> Functions:
        package = functions["forward"].__module__.rpartition(".")[0]

        def build_model(settings: Any) -> Any:
            model = functions["build_model"](settings)
            together = importlib.import_module(f"{package}.together")
            if not hasattr(together, "_faulty"):
                together._faulty = True  # type: ignore[attr-defined]
                change(together, importlib.import_module(f"{package}.together_adapter"))
            return model

        return {"build_model": build_model}

    return override


def _mean_of_means(together: Any, _: Any) -> None:
    right = together.loss

    def loss(ranks: Any, model: Any, batch: Any) -> Any:
        own = together.share(ranks, batch)
        if not len(own["input_ids"]):
            return right(ranks, model, batch)
        return model(**own)["loss"] / ranks.size

    together.loss = loss


def _left_out(together: Any, _: Any) -> None:
    right = together.add_up

    def add_up(ranks: Any, model: Any, loss: float) -> Any:
        for parameter in model.parameters() if ranks.rank else ():
            if parameter.grad is not None:
                parameter.grad.zero_()
        return right(ranks, model, loss)

    together.add_up = add_up


def _remainder_dropped(together: Any, _: Any) -> None:
    def rows(ranks: Any, count: int) -> slice:
        size = count // ranks.size
        return slice(ranks.rank * size, (ranks.rank + 1) * size)

    together.rows = rows


def _dealt_in_turn(together: Any, _: Any) -> None:
    together.rows = lambda ranks, count: slice(ranks.rank, count, ranks.size)


def _same_masks(_: Any, adapter: Any) -> None:
    adapter.dropout = adapter.of_one.dropout


FAULTS = (
    Fault(
        "mean-of-means",
        7,
        "gradient",
        "the means of the processes are averaged, though one has more words than another",
        _planted(_mean_of_means),
    ),
    Fault(
        "share-left-out",
        7,
        "gradient",
        "the gradients of the second process are not added",
        _planted(_left_out),
    ),
    Fault(
        "remainder-dropped",
        7,
        "gradient",
        "all processes get equally many rows, and what is left over is dropped",
        _planted(_remainder_dropped),
    ),
    Fault(
        "dealt-in-turn",
        8,
        "epoch",
        "rows are dealt to the processes in turn, so that their order is another",
        _planted(_dealt_in_turn),
    ),
    Fault(
        "same-masks",
        10,
        "update 0",
        "every process draws the masks of the first one's rows",
        _planted(_same_masks),
    ),
)
