"""Evaluation of a whole split: the loss, the scores and what they are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from jointbert.in_paddle.data import encode, evaluation_batches, evaluation_order, label_sets
from jointbert.in_paddle.loss import intent_losses, slot_losses
from jointbert.in_paddle.model import JointBert

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
        with paddle.no_grad():
            outcomes = _outcomes(model, settings, split)
    finally:
        model.train() if training else model.eval()
    names = label_sets(settings).slots
    gold = [entities([names[i] for i in one["slots"]]) for one in outcomes]
    predicted = [entities([names[i] for i in one["slot_predictions"]]) for one in outcomes]
    precision, recall, f1 = scores(gold, predicted)
    intent_right = [one["intent"] == one["intent_prediction"] for one in outcomes]
    slots_right = [np.array_equal(one["slots"], one["slot_predictions"]) for one in outcomes]
    frames = [a and b for a, b in zip(intent_right, slots_right, strict=True)]
    return {
        "loss": float(np.mean([one["loss"] for one in outcomes])),
        "intent_acc": float(np.mean(intent_right)),
        "slot_precision": precision,
        "slot_recall": recall,
        "slot_f1": f1,
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
        tensors = {name: paddle.to_tensor(array) for name, array in batch.items()}
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
    labelled = ((mask == 1) & (slots != task.ignore_index)).numpy()
    gold, predicted = slots.numpy(), best.numpy()
    intents = intent_logits.argmax(1).numpy()
    rows = zip(
        losses.numpy(), batch["intent_label_ids"].numpy(), intent_logits.numpy(), strict=True
    )
    return [
        {
            "loss": float(loss),
            "intent": int(intent),
            "intent_prediction": int(intents[row]),
            "intent_logits": logits,
            "slots": gold[row][labelled[row]],
            "slot_predictions": predicted[row][labelled[row]],
        }
        for row, (loss, intent, logits) in enumerate(rows)
    ]


def entities(labels: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities of a sentence in IOB labels: (type, first word, word behind the last).

    An entity begins at B-, at I- of another type than the word before, and at I- behind no entity
    (Tjong Kim Sang and Buchholz, 2000). A label without prefix other than O counts as I-.
    """
    found = set()
    kind, first = "", 0
    for place, label in enumerate([*labels, "O"]):
        prefix, name = label[:2], label[2:]
        if prefix not in ("B-", "I-"):
            prefix, name = ("", "") if label == "O" else ("I-", label)
        begins = prefix == "B-" or (prefix == "I-" and name != kind)
        if kind and (begins or not prefix):
            found.add((kind, first, place))
            kind = ""
        if begins:
            kind, first = name, place
    return found


def scores(
    gold: Sequence[set[tuple[str, int, int]]], predicted: Sequence[set[tuple[str, int, int]]]
) -> tuple[float, float, float]:
    """Precision, recall and F1 over the entities of all sentences; 0 where there are none."""
    right = sum(len(a & b) for a, b in zip(gold, predicted, strict=True))
    said, due = sum(map(len, predicted)), sum(map(len, gold))
    precision, recall = right / said if said else 0.0, right / due if due else 0.0
    return precision, recall, 2 * right / (said + due) if said + due else 0.0
