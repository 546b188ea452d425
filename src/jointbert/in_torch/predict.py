"""Predictions of a loaded model: the network and the labels it decides for, without spans."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from jointbert.in_torch.data import Settings, inference_batch
from jointbert.in_torch.data import pieces_of as pieces_of
from jointbert.in_torch.model import JointBert, build_model
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
    torch.set_num_threads(int(settings["threads"]) or os.cpu_count() or 1)
    if settings["precision"] == "bfloat16" and not torch.cpu._is_avx512_bf16_supported():
        raise UsageError("precision bfloat16: this processor has none; use float32")


def load(settings: Settings) -> JointBert:
    """The model of prepared settings, ready to predict; its encoder in the wanted precision."""
    start(settings)
    model = build_model(settings)
    model.eval()
    if settings["precision"] == "bfloat16":
        model.bert.to(torch.bfloat16)
    return model


def predict(model: JointBert, settings: Settings, rows: Sequence[Sequence[int]]) -> Predicted:
    """Predictions for sentences given by their piece ids."""
    batch = inference_batch(settings, rows)
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    with torch.inference_mode():
        outputs = model.encode(**tensors)
        intents, logits = outputs["intent_logits"].softmax(1), outputs["slot_logits"]
        mask = tensors["attention_mask"]
        if model.crf is None:
            confidences, slots = logits.softmax(2).max(2)
        else:
            slots = model.crf.decode(logits, mask)
            confidences = model.crf.marginals(logits, mask).gather(2, slots.unsqueeze(2)).squeeze(2)
    return Predicted(intents.numpy(), slots.numpy(), confidences.numpy())
