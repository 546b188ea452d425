"""Evaluation of a whole split: the loss, the scores and what they are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from seqeval.metrics import f1_score, precision_score, recall_score
from torch import Tensor

from jointbert.in_torch.data import encode, evaluation_batches, evaluation_order, label_sets
from jointbert.in_torch.loss import intent_losses, slot_losses
from jointbert.in_torch.model import JointBert

Result = dict[str, float | np.ndarray[Any, Any]]


def evaluate(model: JointBert, settings: Mapping[str, Any], split: str) -> Result:
    """Metrics of a split, and per example, in the order of the file, what was predicted.

    `loss` weighs every example equally: its intent's loss plus `slot_loss_coef` times the mean loss
    of its labelled words (with a CRF: its negative log-likelihood). `slot_precision`, `slot_recall`
    and `slot_f1` count whole entities; `semantic_frame_acc` sentences whose intent and slots are
    all right. `intent_predictions` (N,) and `slot_predictions` (labelled words,) are int64, as are
    `intent_labels` and `slot_labels`, which they are scored against;
    `intent_logits` (N, I) and `losses` (N,) have the model's dtype.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            outcomes = _outcomes(model, settings, split)
    finally:
        model.train(training)
    names = [_tag(label) for label in label_sets(settings).slots]
    gold = [[names[i] for i in one["slots"]] for one in outcomes]
    predicted = [[names[i] for i in one["slot_predictions"]] for one in outcomes]
    intent_right = [one["intent"] == one["intent_prediction"] for one in outcomes]
    slots_right = [np.array_equal(one["slots"], one["slot_predictions"]) for one in outcomes]
    frames = [a and b for a, b in zip(intent_right, slots_right, strict=True)]
    return {
        "loss": float(np.mean([one["loss"] for one in outcomes])),
        "intent_acc": float(np.mean(intent_right)),
        "slot_precision": float(precision_score(gold, predicted, zero_division=0)),
        "slot_recall": float(recall_score(gold, predicted, zero_division=0)),
        "slot_f1": float(f1_score(gold, predicted, zero_division=0)),
        "semantic_frame_acc": float(np.mean(frames)),
        "intent_predictions": np.array([one["intent_prediction"] for one in outcomes], np.int64),
        "slot_predictions": np.concatenate([one["slot_predictions"] for one in outcomes]),
        "intent_labels": np.array([one["intent"] for one in outcomes], np.int64),
        "slot_labels": np.concatenate([one["slots"] for one in outcomes]),
        "intent_logits": np.stack([one["intent_logits"] for one in outcomes]),
        "losses": np.array([one["loss"] for one in outcomes], outcomes[0]["intent_logits"].dtype),
    }


def _outcomes(model: JointBert, settings: Mapping[str, Any], split: str) -> Sequence[Any]:
    examples = encode(settings, split)
    outcomes: list[Any] = [None] * len(examples)
    order = evaluation_order(settings, examples)
    for indices, batch in zip(order, evaluation_batches(settings, split), strict=True):
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        for index, outcome in zip(indices, _batch_outcomes(model, tensors), strict=True):
            outcomes[index] = outcome
    return outcomes


def _batch_outcomes(model: JointBert, batch: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    task, crf = model.task, model.crf
    mask, slots = batch["attention_mask"], batch["slot_labels_ids"]
    outputs = model(**batch)
    intent_logits, slot_logits = outputs["intent_logits"], outputs["slot_logits"]
    losses = intent_losses(intent_logits, batch["intent_label_ids"]) + task.slot_loss_coef * (
        slot_losses(slot_logits, slots, mask, task.ignore_index, crf)
    )
    best = slot_logits.argmax(2) if crf is None else crf.decode(slot_logits, mask)
    labelled = (mask == 1) & (slots != task.ignore_index)
    return [
        {
            "loss": losses[row].item(),
            "intent": batch["intent_label_ids"][row].item(),
            "intent_prediction": intent_logits[row].argmax().item(),
            "intent_logits": intent_logits[row].numpy(),
            "slots": slots[row][labelled[row]].numpy(),
            "slot_predictions": best[row][labelled[row]].numpy(),
        }
        for row in range(len(losses))
    ]


def _tag(label: str) -> str:
    # PAD and UNK can be predicted, UNK can be due. seqeval reads a label without B- or I- as part
    # of an entity, with a warning; written as I- it does the same without one.
    return label if label == "O" or label[:2] in ("B-", "I-") else f"I-{label}"
