"""Faults of step 8: the port reads or shuffles the training data otherwise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jointbert.faults.planting import running, under
from modelparity import Fault

Settings = Mapping[str, Any]
Batches = Callable[[Settings, int], Iterator[Mapping[str, Any]]]


def _first_epoch(batches: Batches, settings: Settings, _: int) -> Iterator[Mapping[str, Any]]:
    return batches(settings, 0)


def _full_only(batches: Batches, settings: Settings, epoch: int) -> Iterator[Mapping[str, Any]]:
    size = settings["batch_size"]
    return (one for one in batches(settings, epoch) if len(one["input_ids"]) == size)


def _order_of_file(settings: Settings, examples: Sequence[Any], _: int) -> list[list[int]]:
    order, size = list(range(len(examples))), settings["batch_size"]
    return [order[start : start + size] for start in range(0, len(order), size)]


def _short_first(batches: Batches, settings: Settings, epoch: int) -> list[Mapping[str, Any]]:
    return sorted(batches(settings, epoch), key=lambda batch: batch["input_ids"].shape[1])


FAULTS = (
    Fault(
        "same-order-every-epoch",
        8,
        "epoch.1",
        "the shuffle is seeded without the epoch",
        running("training_batches", _first_epoch),
    ),
    Fault(
        "training-drops-last-batch",
        8,
        "epoch.0",
        "the smaller batch of an epoch is dropped",
        running("training_batches", _full_only),
    ),
    Fault(
        "not-shuffled",
        8,
        "epoch.0",
        "sentences come in the order of the file",
        under("training_batches", "data", training_order=_order_of_file),
    ),
    Fault(
        "batches-by-length",
        8,
        "epoch.0",
        "batches of like length are not shuffled among each other",
        running("training_batches", _short_first),
    ),
)
