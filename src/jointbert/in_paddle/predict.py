"""Predictions of a loaded model: the network and the labels it decides for, without spans."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle.nn import functional

from jointbert.in_paddle.data import Settings, inference_batch
from jointbert.in_paddle.data import pieces_of as pieces_of
from jointbert.in_paddle.model import JointBert, build_model
from jointbert.in_paddle.threads import set_threads
from modelparity import UsageError

Array = np.ndarray[Any, Any]


class Predicted(NamedTuple):
    """Of a batch: intents' probabilities (B, I), slot label ids and theirs (B, T).

    Position 0 is [CLS]; what stands behind a sentence's pieces has no meaning.
    """

    intents: Array
    slots: Array
    confidences: Array


def start(settings: Settings) -> None:
    """Set the number of threads (0: all cores); UsageError for a precision that is not there."""
    paddle.set_device("cpu")
    set_threads(int(settings["threads"]) or os.cpu_count() or 1)
    if settings["precision"] == "bfloat16":
        raise UsageError("precision bfloat16: Paddle has none on CPUs; use float32, or torch")


def load(settings: Settings) -> JointBert:
    """The model of prepared settings, ready to predict."""
    start(settings)
    model = build_model(settings)
    model.eval()
    return model


def predict(model: JointBert, settings: Settings, rows: Sequence[Sequence[int]]) -> Predicted:
    """Predictions for sentences given by their piece ids."""
    batch = inference_batch(settings, rows)
    tensors = {name: paddle.to_tensor(array) for name, array in batch.items()}
    with paddle.no_grad():
        outputs = model.encode(**tensors)
        intents, logits = functional.softmax(outputs["intent_logits"], 1), outputs["slot_logits"]
        mask = tensors["attention_mask"]
        if model.crf is None:
            slots, probabilities = logits.argmax(2), functional.softmax(logits, 2)
        else:
            slots = model.crf.decode(logits, mask)
            probabilities = model.crf.marginals(logits, mask)
        confidences = paddle.take_along_axis(probabilities, slots.unsqueeze(2), 2).squeeze(2)
    return Predicted(intents.numpy(), slots.numpy(), confidences.numpy())
