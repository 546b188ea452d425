# mypy: allow-subclassing-any
"""Faults of step 7: the right outputs with the wrong gradients."""

from collections.abc import Callable
from typing import Any

from jointbert.faults import updates
from jointbert.faults.planting import built, running
from modelparity import Fault

LOSS_SCALE = 1024.0


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


def _scaled(forward: Callable[..., Any], model: Any, batch: Any) -> Any:
    from paddle.autograd import PyLayer

    class Scaled(PyLayer):
        @staticmethod
        def forward(context: Any, loss: Any) -> Any:
            return loss.clone()

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return gradient * LOSS_SCALE

    outputs = forward(model, batch)
    return {**outputs, "loss": Scaled.apply(outputs["loss"])}


def _other_gradient(model: Any) -> None:
    from paddle import tanh
    from paddle.autograd import PyLayer
    from paddle.nn import functional

    class Gelu(PyLayer):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            context.save_for_backward(x)
            return functional.gelu(x)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            (x,) = context.saved_tensor()
            # Of Hendrycks and Gimpel's approximation (arXiv 1606.08415).
            root, cubic = (2.0 / 3.141592653589793) ** 0.5, 0.044715
            t = tanh(root * (x + cubic * x**3))
            slope = root * (1.0 + 3.0 * cubic * x**2)
            return gradient * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t**2) * slope)

    model.bert.encoder.layer[1].intermediate.intermediate_act_fn.forward = Gelu.apply


def _padding_cut(model: Any) -> None:
    import paddle

    inner = model.bert.forward

    def forward(input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        sequence, pooled = inner(input_ids, attention_mask, token_type_ids)
        present = (attention_mask == 1).unsqueeze(-1)
        return paddle.where(present, sequence, sequence.detach()), pooled

    model.bert.forward = forward


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
        "gelu-other-gradient",
        7,
        "bert.encoder.layer.1.intermediate.dense",
        "GELU is exact, but its gradient is that of the tanh approximation, as in a fused kernel",
        built(_other_gradient),
    ),
    Fault(
        "loss-scale-kept",
        7,
        "slot_classifier.linear",
        f"the gradients keep the loss scale of {LOSS_SCALE:.0f}",
        running("forward", _scaled),
    ),
    *updates.FAULTS,
    Fault(
        "padding-detached",
        7,
        "bert.encoder.layer.1.output.LayerNorm",
        "no gradient comes back through padding's outputs",
        built(_padding_cut),
        equivalent="no loss reads padding's outputs: their gradient is zero anyway",
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
