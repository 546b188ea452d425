# mypy: allow-subclassing-any
"""Faults of step 7: the right outputs with the wrong gradients."""

from typing import Any

from jointbert.faults.planting import built
from modelparity import Fault


def _frozen_types(model: Any) -> None:
    table = model.bert.embeddings.token_type_embeddings
    look_up = table.forward
    table.forward = lambda ids: look_up(ids).detach()


def _cut_pooler(model: Any) -> None:
    forward = model.bert.pooler.forward
    model.bert.pooler.forward = lambda states: forward(states).detach()


def _overwriting(model: Any) -> None:
    import paddle
    from paddle.autograd import PyLayer

    class LookUp(PyLayer):
        @staticmethod
        def forward(context: Any, ids: Any, weight: Any) -> Any:
            context.save_for_backward(ids, weight)
            return weight[ids]

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            ids, weight = context.saved_tensor()
            rows = gradient.reshape([-1, gradient.shape[-1]])
            # With `overwrite` the last occurrence of an id wins; they should be added up.
            empty = paddle.zeros_like(weight)
            return None, empty.scatter(ids.reshape([-1]), rows, overwrite=True)

    table = model.bert.embeddings.word_embeddings
    table.forward = lambda ids: LookUp.apply(ids, table.weight)


def _learning_padding(model: Any) -> None:
    from paddle.nn import functional

    table = model.bert.embeddings.word_embeddings
    table.forward = lambda ids: functional.embedding(ids, table.weight)


FAULTS = (
    Fault(
        "token-types-detached",
        7,
        "bert.embeddings.token_type_embeddings",
        "token types never learn",
        built(_frozen_types),
    ),
    Fault(
        "intent-stops-at-pooler",
        7,
        "bert.pooler.dense",
        "the intent's loss reaches neither the pooler nor the encoder",
        built(_cut_pooler),
    ),
    Fault(
        "gradient-overwritten",
        7,
        "bert.embeddings.word_embeddings.weight",
        "of a word that stands in several places only the last gradient counts",
        built(_overwriting),
    ),
    Fault(
        "padding-row-learns",
        7,
        "bert.embeddings.word_embeddings",
        "the padding row's gradient is not held back",
        built(_learning_padding),
        equivalent="no loss depends on padding that nothing attends to: its gradient is zero",
    ),
)
