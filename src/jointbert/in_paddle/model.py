# mypy: allow-subclassing-any
"""JointBERT (Chen et al., 2019, arXiv 1902.10909) on the port of BertModel."""

import json
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import safetensors
from paddle import Tensor, nn

from jointbert.in_paddle.bert import BertModel, Config, linear
from jointbert.in_paddle.crf import CRF
from jointbert.in_paddle.data import label_sets
from jointbert.in_paddle.loss import intent_loss, slot_loss
from jointbert.in_paddle.strides import without_views
from modelparity import InputError

HEADS = ("intent_classifier.", "slot_classifier.", "crf.")
# Of a checkpoint, what a model without pretraining tasks has no use for.
UNUSED = ("cls.predictions.", "cls.seq_relationship.")
UNUSED_ENDS = ("embeddings.position_ids",)
FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}  # safetensors' names
RENAMED = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# Without a framework: NumPy's own reader has no bfloat16.
_deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize


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


class Classifier(nn.Layer):
    """Dropout and a linear layer."""

    def __init__(self, config: Config, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = linear(config, config.hidden_size, labels)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Logits (..., labels) of hidden states (..., H)."""
        return self.linear(self.dropout(hidden_states))


class JointBert(nn.Layer):
    """One encoder; intents from its pooled output, slots from its sequence output.

    drawn  whether the encoder starts from random weights; one that is loaded need not
    """

    def __init__(self, config: Config, task: Task, *, drawn: bool = True) -> None:
        super().__init__()
        self.task = task
        encoder = copy(config)
        encoder.initializer_range = config.initializer_range if drawn else 0.0
        self.bert = BertModel(encoder)
        self.intent_classifier = Classifier(config, task.intents, task.dropout)
        self.slot_classifier = Classifier(config, task.slots, task.dropout)
        self.crf = CRF(task.slots) if task.crf else None

    @without_views()
    def encode(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> dict[str, Tensor]:
        """What needs no labels: both encoder outputs and both logits."""
        sequence, pooled = self.bert(input_ids, attention_mask, token_type_ids)
        return {
            "sequence_output": sequence,
            "pooled_output": pooled,
            "intent_logits": self.intent_classifier(pooled),  # (B, I)
            "slot_logits": self.slot_classifier(sequence),  # (B, T, S)
        }

    @without_views()
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

    Parameters have Paddle's default dtype. Raises InputError for a parameter of the checkpoint that
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
    directory = Path(settings["checkpoint"])
    values = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config = Config({**values, "attention": settings.get("attention", "eager")})
    model = JointBert(config, task, drawn=not settings["pretrained"])
    if settings["pretrained"]:
        load_weights(model, directory / "model.safetensors")
    return model


def load_weights(model: JointBert, path: Path) -> None:
    """Copy a checkpoint's parameters into the model, cast to its dtype and laid out as it wants.

    Checkpoints hold linear weights as torch does, (out, in). Heads that the checkpoint lacks
    altogether keep their values. Raises InputError.
    """
    found = {_own_name(name): value for name, value in read(path).items() if not _unused(name)}
    wanted = dict(model.named_parameters())
    fresh = {head for head in HEADS if not any(name.startswith(head) for name in found)}
    transposed = _transposed(model)
    for name in wanted:
        if name not in found and not name.startswith(tuple(fresh)):
            raise InputError(f"{path}: {name} is missing; the checkpoint is not a whole BERT model")
    for name, value in found.items():
        if name not in wanted:
            raise InputError(
                f"{path}: {name} is not part of the model; remove it, or for crf.* set crf=true"
            )
        laid = value.T if name in transposed else value
        if list(laid.shape) != wanted[name].shape:
            expected = wanted[name].shape[:: -1 if name in transposed else 1]
            raise InputError(
                f"{path}: {name} has shape {value.shape}, the model {tuple(expected)};"
                " it belongs to another config.json or label set"
            )
        wanted[name].set_value(paddle.to_tensor(laid).astype(wanted[name].dtype))


def to_arrays(model: JointBert) -> dict[str, np.ndarray[Any, Any]]:
    """Every parameter as a checkpoint holds it: linear weights as torch does, (out, in)."""
    transposed = _transposed(model)
    arrays = {name: p.numpy() for name, p in model.named_parameters()}
    return {n: np.array(a.T, order="C") if n in transposed else a for n, a in arrays.items()}


def _transposed(model: JointBert) -> set[str]:
    parts = model.named_sublayers()
    return {f"{name}.weight" for name, part in parts if isinstance(part, nn.Linear)}


def read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a safetensors file; bfloat16, which NumPy lacks, as float32.

    Raises InputError for a parameter that is not a float.
    """
    arrays = {}
    for name, entry in _deserialize(path.read_bytes()):
        data, stored = entry["data"], entry["dtype"]
        if stored == "BF16":  # the upper half of a float32
            array = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        elif stored in FLOATS:
            array = np.frombuffer(data, FLOATS[stored])
        elif _unused(name):
            continue
        else:
            raise InputError(f"{path}: {name} holds {stored}; parameters must be floats")
        arrays[name] = array.reshape(entry["shape"])
    return arrays


def _unused(name: str) -> bool:
    return name.startswith(UNUSED) or name.endswith(UNUSED_ENDS)


def _own_name(name: str) -> str:
    for old, new in RENAMED.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name if name.startswith(("bert.", *HEADS)) else f"bert.{name}"
