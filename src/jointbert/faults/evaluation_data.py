"""Faults of step 2: the port reads the evaluation data otherwise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jointbert.faults import encoding
from jointbert.faults.planting import patched, running
from jointbert.labels import UNKNOWN, read_labels
from modelparity import Fault

Batch = Mapping[str, Any]
Settings = Mapping[str, Any]
Batches = Callable[[Settings, str], Iterator[Batch]]


def _full_only(batches: Batches, settings: Settings, split: str) -> list[Batch]:
    full = settings["eval_batch_size"]
    return [one for one in batches(settings, split) if len(one["input_ids"]) == full]


def _filled_up(batches: Batches, settings: Settings, split: str) -> list[Batch]:
    from jointbert.in_paddle.data import evaluation_order

    def filled(settings: Settings, examples: Sequence[Any]) -> list[list[int]]:
        order = evaluation_order(settings, examples)
        lacking = settings["eval_batch_size"] - len(order[-1])
        return [*order[:-1], order[-1] + order[0][:lacking]]

    with patched("data", evaluation_order=filled):
        return list(batches(settings, split))


def _outside_if_unseen(batches: Batches, settings: Settings, split: str) -> Iterator[Batch]:
    names = read_labels(settings["data"]).slots
    unseen, outside = names.index(UNKNOWN), names.index("O")
    for batch in batches(settings, split):
        slots = batch["slot_labels_ids"]
        yield {**batch, "slot_labels_ids": np.where(slots == unseen, outside, slots)}


def _unknown_last(batches: Batches, settings: Settings, split: str) -> Iterator[Batch]:
    intents = len(read_labels(settings["data"]).intents)
    for batch in batches(settings, split):
        yield {**batch, "intent_label_ids": (batch["intent_label_ids"] - 1) % intents}


FAULTS = (
    Fault(
        "evaluation-drops-last-batch",
        2,
        "dev/2",
        "the last, smaller batch of a split is dropped",
        running("evaluation_batches", _full_only),
    ),
    Fault(
        "last-batch-filled-up",
        2,
        "dev/2",
        "the last batch is filled up with the first sentences, as samplers of several devices do",
        running("evaluation_batches", _filled_up),
    ),
    *encoding.FAULTS,
    Fault(
        "label-order",
        2,
        "intent_label_ids",
        "the intent for unknown labels is counted last, not first",
        running("evaluation_batches", _unknown_last),
    ),
    Fault(
        "unseen-label-outside",
        2,
        "slot_labels_ids",
        "one word: a label that training never saw becomes O, not UNK",
        running("evaluation_batches", _outside_if_unseen),
    ),
)
