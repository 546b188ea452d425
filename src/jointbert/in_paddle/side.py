"""The port's face on the ladder: the functions of docs/sides.md, each by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from paddle import Tensor
from paddle.optimizer.lr import LambdaDecay

from jointbert.in_paddle import data, metrics, model, optimize
from jointbert.in_paddle.data import Batch, Settings
from jointbert.in_paddle.model import JointBert
from jointbert.in_paddle.optimize import AdamW

ADAPTER = "modelparity.adapters.paddle"


def build_model(settings: Settings) -> JointBert:
    """The model as training would start."""
    return model.build_model(settings)


def forward(model: JointBert, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All outputs by name, in the mode and precision that the model is in."""
    outputs: dict[str, Tensor] = model(**batch)
    return outputs


def sample_batches(settings: Settings) -> list[Batch]:
    """Small batches that hold what is hard for a model."""
    return data.sample_batches(settings)


def vocabularies(settings: Settings) -> dict[str, list[str]]:
    """The word pieces, intents and slot labels by their numbers."""
    return data.vocabularies(settings)


def training_batches(settings: Settings, epoch: int) -> Iterator[Batch]:
    """Every batch of an epoch, shuffled as training shuffles."""
    return data.training_batches(settings, epoch)


def evaluation_batches(settings: Settings, split: str) -> Iterator[Batch]:
    """Every batch of a split."""
    return data.evaluation_batches(settings, split)


def evaluate(model: JointBert, settings: Settings, split: str) -> dict[str, Any]:
    """Metrics, predictions and logits of a whole split."""
    return dict(metrics.evaluate(model, settings, split))


def build_optimizer(
    model: JointBert, settings: Settings, updates: int
) -> tuple[AdamW, LambdaDecay]:
    """AdamW and its schedule for a training of `updates` updates."""
    return optimize.build_optimizer(model, settings, updates)


def update(model: JointBert, optimizer: AdamW, schedule: LambdaDecay, settings: Settings) -> None:
    """Clip, apply the optimizer, advance the schedule."""
    optimize.update(model, optimizer, schedule, settings)
