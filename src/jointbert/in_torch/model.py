# mypy: allow-subclassing-any
"""JointBERT (Chen et al., 2019, arXiv 1902.10909) on Hugging Face's BertModel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers import initialization as init

from jointbert.in_torch.crf import CRF
from jointbert.in_torch.data import label_sets
from jointbert.in_torch.loss import intent_loss, slot_loss
from modelparity import InputError

CRF_RANGE = 0.1  # of the CRF's uniform initialiser, as in the package pytorch-crf
HEADS = ("intent_classifier.", "slot_classifier.", "crf.")
# Of a checkpoint, what a model without pretraining tasks has no use for.
UNUSED = ("cls.predictions.", "cls.seq_relationship.")
UNUSED_ENDS = ("embeddings.position_ids",)
RENAMED = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclass(frozen=True)
class Task:
    """What JointBert needs to know besides BERT's configuration."""

    intents: int
    slots: int
    crf: bool
    dropout: float
    ignore_index: int
    slot_loss_coef: float
    intent_weights: tuple[float, ...] = ()  # of each label in its loss; empty: all alike
    slot_weights: tuple[float, ...] = ()


class Classifier(nn.Module):
    """Dropout and a linear layer."""

    def __init__(self, hidden: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, labels)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Logits (..., labels) of hidden states (..., H)."""
        logits: Tensor = self.linear(self.dropout(hidden_states))
        return logits


class JointBert(BertPreTrainedModel):
    """One encoder; intents from its pooled output, slots from its sequence output."""

    def __init__(self, config: BertConfig, task: Task) -> None:
        super().__init__(config)
        self.task = task
        self.bert = BertModel(config)
        self.intent_classifier = Classifier(config.hidden_size, task.intents, task.dropout)
        self.slot_classifier = Classifier(config.hidden_size, task.slots, task.dropout)
        self.crf = CRF(task.slots) if task.crf else None
        self.mixed = False  # whether the encoder runs under autocast to bfloat16
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, CRF):
            for parameter in module.parameters(recurse=False):
                init.uniform_(parameter, -CRF_RANGE, CRF_RANGE)

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> dict[str, Tensor]:
        """What needs no labels: both encoder outputs and both logits."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            encoded = self.bert(input_ids, attention_mask, token_type_ids)
        sequence, pooled = encoded.last_hidden_state, encoded.pooler_output  # (B, T, H), (B, H)
        if sequence.dtype != self.intent_classifier.linear.weight.dtype:
            # The encoder's precision was chosen; labels are decided in that of the heads.
            sequence, pooled = (
                t.to(self.intent_classifier.linear.weight) for t in (sequence, pooled)
            )
        return {
            "sequence_output": sequence,
            "pooled_output": pooled,
            "intent_logits": self.intent_classifier(pooled),  # (B, I)
            "slot_logits": self.slot_classifier(sequence),  # (B, T, S)
        }

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        intent_label_ids: Tensor,
        slot_labels_ids: Tensor,
    ) -> dict[str, Tensor]:
        """All outputs by name: both encoder outputs, both logits and the three losses."""
        outputs = self.encode(input_ids, attention_mask, token_type_ids)
        task, slot_logits = self.task, outputs["slot_logits"]
        intents = intent_loss(outputs["intent_logits"], intent_label_ids, task.intent_weights)
        slots = slot_loss(
            slot_logits,
            slot_labels_ids,
            attention_mask,
            task.ignore_index,
            self.crf,
            task.slot_weights,
        )
        return {
            **outputs,
            "intent_loss": intents,
            "slot_loss": slots,
            "loss": intents + self.task.slot_loss_coef * slots,
        }


def build_model(settings: Mapping[str, Any]) -> JointBert:
    """The model of prepared settings, initialised, with the checkpoint's weights if it has any.

    Parameters have torch's default dtype. Raises InputError for a parameter of the checkpoint that
    is missing, of another shape, or not part of the model.
    """
    labels = label_sets(settings)
    task = Task(
        intents=len(labels.intents),
        slots=len(labels.slots),
        crf=settings["crf"],
        dropout=settings["dropout"],
        ignore_index=settings["ignore_index"],
        slot_loss_coef=settings["slot_loss_coef"],
        intent_weights=tuple(settings.get("intent_weights", ())),
        slot_weights=tuple(settings.get("slot_weights", ())),
    )
    config = BertConfig.from_pretrained(
        settings["checkpoint"], local_files_only=True, attn_implementation=settings["attention"]
    )
    model = JointBert(config, task)
    if settings["pretrained"]:
        load_weights(model, Path(settings["checkpoint"]) / "model.safetensors")
    return model


def load_weights(model: JointBert, path: Path) -> None:
    """Copy a checkpoint's parameters into the model, cast to its dtype.

    Heads that the checkpoint lacks altogether keep their values. Raises InputError.
    """
    found = {_own_name(name): value for name, value in load_file(path).items() if not _unused(name)}
    wanted = dict(model.named_parameters())
    fresh = {head for head in HEADS if not any(name.startswith(head) for name in found)}
    for name in wanted:
        if name not in found and not name.startswith(tuple(fresh)):
            raise InputError(f"{path}: {name} is missing; the checkpoint is not a whole BERT model")
    for name, value in found.items():
        if name not in wanted:
            raise InputError(
                f"{path}: {name} is not part of the model; remove it, or for crf.* set crf=true"
            )
        shape, expected = tuple(value.shape), tuple(wanted[name].shape)
        if shape != expected:
            raise InputError(
                f"{path}: {name} has shape {shape}, the model {expected};"
                " it belongs to another config.json or label set"
            )
        if not value.is_floating_point():
            raise InputError(f"{path}: {name} holds {value.dtype}; parameters must be floats")
        with torch.no_grad():
            wanted[name].copy_(value)


def to_arrays(model: JointBert) -> dict[str, np.ndarray[Any, Any]]:
    """Every parameter as a checkpoint holds it."""
    return {name: p.detach().numpy().copy() for name, p in model.named_parameters()}


def _unused(name: str) -> bool:
    return name.startswith(UNUSED) or name.endswith(UNUSED_ENDS)


def _own_name(name: str) -> str:
    for old, new in RENAMED.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name if name.startswith(("bert.", *HEADS)) else f"bert.{name}"
