"""Faults of step 1 within the losses."""

from typing import Any

from jointbert.faults.planting import under
from modelparity import Fault


def _over_all_words(logits: Any, labels: Any, mask: Any, ignore_index: int, *_: Any) -> Any:
    from paddle.nn import functional

    each = functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")
    return each.sum() / mask.sum().astype(each.dtype)


def _at_rows_0_and_1(logits: Any, labels: Any, mask: Any, ignore_index: int, *_: Any) -> Any:
    from paddle.nn import functional

    rows = mask.reshape([-1])  # of integers: they select rows 0 and 1, where bools would mask
    return functional.cross_entropy(
        logits.reshape([-1, logits.shape[-1]])[rows],
        labels.reshape([-1])[rows],
        ignore_index=ignore_index,
    )


def _unmasked_loss(logits: Any, labels: Any, _: Any, ignore_index: int, *__: Any) -> Any:
    from paddle.nn import functional

    return functional.cross_entropy(logits, labels, ignore_index=ignore_index)


FAULTS = (
    Fault(
        "slot-loss-over-all-positions",
        1,
        "slot_loss",
        "the sum over labelled positions is divided by the number of all positions",
        under("forward", "model", slot_loss=_over_all_words),
    ),
    Fault(
        "mask-as-index",
        1,
        "slot_loss",
        "an integer mask selects rows 0 and 1 again and again, where a boolean one is meant",
        under("forward", "model", slot_loss=_at_rows_0_and_1),
    ),
    Fault(
        "slot-loss-without-mask",
        1,
        "slot_loss",
        "the slot loss runs over padding too",
        under("forward", "model", slot_loss=_unmasked_loss),
        equivalent="padding carries the label that the loss ignores",
    ),
)
