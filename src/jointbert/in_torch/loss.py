"""The losses: cross entropy for intents; cross entropy or the CRF's likelihood for slots.

Each is there twice: as training uses it, and per example, as evaluation does.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from jointbert.in_torch.crf import CRF


def intent_loss(logits: Tensor, labels: Tensor, weights: Sequence[float] = ()) -> Tensor:
    """Mean over the batch, weighted by each label's weight; logits (B, I), labels (B,)."""
    return functional.cross_entropy(logits, labels, weight=_like(weights, logits))


def intent_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Per example, (B,)."""
    return functional.cross_entropy(logits, labels, reduction="none")


def slot_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    ignore_index: int,
    crf: CRF | None,
    weights: Sequence[float] = (),
) -> Tensor:
    """Mean over the labelled positions of the batch, or with a CRF over its sentences.

    logits (B, T, S); labels and mask (B, T). Without a CRF, positions of label `ignore_index` do
    not count. The CRF's likelihood takes no weights.
    """
    if crf is not None:
        return crf(logits, labels, mask).mean()
    active = mask == 1
    return functional.cross_entropy(
        logits[active], labels[active], _like(weights, logits), ignore_index=ignore_index
    )


def slot_losses(
    logits: Tensor, labels: Tensor, mask: Tensor, ignore_index: int, crf: CRF | None
) -> Tensor:
    """Per example, (B,): its mean over its labelled positions, or the CRF's."""
    if crf is not None:
        return crf(logits, labels, mask)
    labelled = (mask == 1) & (labels != ignore_index)
    each = functional.cross_entropy(
        logits.transpose(1, 2), labels, ignore_index=ignore_index, reduction="none"
    )
    return (each * labelled).sum(1) / labelled.sum(1)


def _like(weights: Sequence[float], logits: Tensor) -> Tensor | None:
    return logits.new_tensor(weights) if weights else None
