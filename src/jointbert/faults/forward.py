"""Faults of step 1: the port computes something else."""

from typing import Any

from jointbert.faults.planting import built, under
from modelparity import Fault


def _eps(model: Any) -> None:
    model.bert.encoder.layer[0].output.LayerNorm._epsilon = 1e-8


def _tanh_form(model: Any) -> None:
    from paddle import nn

    model.bert.encoder.layer[1].intermediate.intermediate_act_fn = nn.GELU(approximate=True)


def _transposed(model: Any) -> None:
    from paddle.nn import functional

    query = model.bert.encoder.layer[1].attention.self.query
    query.forward = lambda states: functional.linear(states, query.weight.T, query.bias)


def _unmasked(model: Any) -> None:
    encode = model.bert.encoder.forward
    model.bert.encoder.forward = lambda states, mask: encode(states, mask * 0.0)


def _without_tanh(model: Any) -> None:
    model.bert.pooler.activation.forward = lambda states: states


def _last_position(model: Any) -> None:
    pooler = model.bert.pooler
    pooler.forward = lambda states: pooler.activation(pooler.dense(states[:, -1]))


def _shifted_positions(model: Any) -> None:
    table = model.bert.embeddings.position_embeddings
    look_up = table.forward
    table.forward = lambda positions: look_up(positions + 1)


def _no_residual(model: Any) -> None:
    output = model.bert.encoder.layer[1].output

    def forward(states: Any, _: Any) -> Any:
        return output.LayerNorm(output.dropout(output.dense(states)))

    output.forward = forward


def _always_dropping(model: Any) -> None:
    from paddle.nn import functional

    dropout = model.slot_classifier.dropout
    dropout.forward = lambda states: functional.dropout(states, dropout.p, training=True)


def _over_all_words(logits: Any, labels: Any, mask: Any, ignore_index: int, *_: Any) -> Any:
    from paddle.nn import functional

    each = functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")
    return each.sum() / mask.sum().astype(each.dtype)


def _small_penalty(model: Any) -> None:
    encode = model.bert.encoder.forward
    model.bert.encoder.forward = lambda states, mask: encode(states, mask.clip(min=-1e4))


def _unmasked_loss(logits: Any, labels: Any, _: Any, ignore_index: int, *__: Any) -> Any:
    from paddle.nn import functional

    return functional.cross_entropy(logits, labels, ignore_index=ignore_index)


FAULTS = (
    Fault(
        "layernorm-eps",
        1,
        "bert.encoder.layer.0.output.LayerNorm",
        "eps is 1e-8 in place of 1e-12",
        built(_eps),
    ),
    Fault(
        "gelu-tanh",
        1,
        "bert.encoder.layer.1.intermediate.intermediate_act_fn",
        "GELU by its tanh approximation",
        built(_tanh_form),
    ),
    Fault(
        "query-transposed",
        1,
        "bert.encoder.layer.1.attention.self.query",
        "a square weight is used as it lies in the other framework",
        built(_transposed),
    ),
    Fault(
        "attention-unmasked",
        1,
        "bert.encoder.layer.0.attention.self",
        "words attend to padding",
        built(_unmasked),
    ),
    Fault(
        "pooler-without-tanh",
        1,
        "bert.pooler.activation",
        "the pooled output is not activated",
        built(_without_tanh),
    ),
    Fault(
        "pooler-last-position",
        1,
        "bert.pooler.dense",
        "the last position is pooled in place of [CLS]",
        built(_last_position),
    ),
    Fault(
        "positions-from-one",
        1,
        "bert.embeddings.position_embeddings",
        "positions are counted from 1",
        built(_shifted_positions),
    ),
    Fault(
        "residual-missing",
        1,
        "bert.encoder.layer.1.output.LayerNorm",
        "the feed-forward network's input is not added to its output",
        built(_no_residual),
    ),
    Fault(
        "dropout-in-evaluation",
        1,
        "slot_classifier.dropout",
        "dropout stays on in evaluation mode",
        built(_always_dropping),
    ),
    Fault(
        "slot-loss-over-all-positions",
        1,
        "slot_loss",
        "the sum over labelled positions is divided by the number of all positions",
        under("forward", "model", slot_loss=_over_all_words),
    ),
    Fault(
        "mask-of-ten-thousand",
        1,
        "bert.encoder.layer.0.attention.self",
        "padding's scores are lowered by 1e4 in place of the lowest number",
        built(_small_penalty),
        equivalent="exp(-1e4) is zero in float64 as in float32: no probability changes",
    ),
    Fault(
        "slot-loss-without-mask",
        1,
        "slot_loss",
        "the slot loss runs over padding too",
        under("forward", "model", slot_loss=_unmasked_loss),
        equivalent="padding carries the label that the loss ignores",
    ),
)
