"""Faults of step 1: the port computes something else."""

from collections.abc import Callable
from typing import Any

from jointbert.faults import attention, losses
from jointbert.faults.planting import built, running
from modelparity import Fault

UNKNOWN = 1  # [UNK] of the embedded vocabulary


def _eps(model: Any) -> None:
    model.bert.encoder.layer[0].output.LayerNorm._epsilon = 1e-8


def _tanh_form(model: Any) -> None:
    from paddle import nn

    model.bert.encoder.layer[1].intermediate.intermediate_act_fn = nn.GELU(approximate=True)


def _without_tanh(model: Any) -> None:
    model.bert.pooler.activation.forward = lambda states: states


def _last_position(model: Any) -> None:
    pooler = model.bert.pooler
    pooler.forward = lambda states: pooler.activation(pooler.dense(states[:, -1]))


def _shifted_positions(model: Any) -> None:
    table = model.bert.embeddings.position_embeddings
    look_up = table.forward
    table.forward = lambda positions: look_up(positions + 1)


def _fixed_positions(model: Any) -> None:
    model.bert.embeddings.position_embeddings.weight.stop_gradient = True


def _no_residual(model: Any) -> None:
    output = model.bert.encoder.layer[1].output

    def forward(states: Any, _: Any) -> Any:
        return output.LayerNorm(output.dropout(output.dense(states)))

    output.forward = forward


def _always_dropping(model: Any) -> None:
    from paddle.nn import functional

    dropout = model.slot_classifier.dropout
    dropout.forward = lambda states: functional.dropout(states, dropout.p, training=True)


def _squeezed(forward: Callable[..., Any], model: Any, batch: Any) -> Any:
    outputs = forward(model, batch)
    return {**outputs, "intent_logits": outputs["intent_logits"].squeeze()}


def _unknown_lost(model: Any) -> None:
    table = model.bert.embeddings.word_embeddings
    look_up = table.forward
    table.forward = lambda ids: look_up(ids * (ids != UNKNOWN).astype(ids.dtype))


def _one_weight(model: Any) -> None:
    import paddle
    from paddle.nn import functional

    dense = model.bert.encoder.layer[0].intermediate.dense

    def forward(states: Any) -> Any:
        with paddle.no_grad():
            rough = dense.weight.astype("float16").astype(dense.weight.dtype) - dense.weight
            rough[0, 1:], rough[1:] = 0.0, 0.0
        return functional.linear(states, dense.weight + rough, dense.bias)

    dense.forward = forward


def _types_ignored(model: Any) -> None:
    table = model.bert.embeddings.token_type_embeddings
    look_up = table.forward
    table.forward = lambda ids: look_up(ids * 0)


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
        "positions-fixed",
        1,
        "bert.embeddings.position_embeddings.weight",
        "the position embeddings are not trained, as fixed sinusoidal ones are not",
        built(_fixed_positions),
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
        "token-types-ignored",
        1,
        "bert.embeddings.token_type_embeddings",
        "every word has token type 0",
        built(_types_ignored),
        equivalent="a task of single sentences has no other token type",
    ),
    *attention.FAULTS,
    *losses.FAULTS,
    Fault(
        "batch-of-one-squeezed",
        1,
        "intent_logits",
        "squeeze() takes the axis of examples away from a batch of one",
        running("forward", _squeezed),
    ),
    Fault(
        "unknown-as-padding",
        1,
        "bert.embeddings.word_embeddings",
        "one row: words that no piece stands for are looked up as padding",
        built(_unknown_lost),
    ),
    Fault(
        "one-weight-in-half",
        1,
        "bert.encoder.layer.0.intermediate.dense",
        "a single weight went through float16 on its way",
        built(_one_weight),
    ),
)
