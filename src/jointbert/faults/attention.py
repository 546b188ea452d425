"""Faults of step 1 within the attention."""

from typing import Any

from jointbert.faults.planting import built
from modelparity import Fault


def _transposed(model: Any) -> None:
    from paddle.nn import functional

    query = model.bert.encoder.layer[1].attention.self.query
    query.forward = lambda states: functional.linear(states, query.weight.T, query.bias)


def _unmasked(model: Any) -> None:
    encode = model.bert.encoder.forward
    model.bert.encoder.forward = lambda states, mask: encode(states, mask * 0.0)


def _by_whole_width(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        attention = layer.attention.self
        attention.scaling = attention.query.weight.shape[1] ** -0.5


def _heads_by_reshape(model: Any) -> None:
    attention = model.bert.encoder.layer[1].attention.self

    def by_head(projected: Any) -> Any:
        batch, length, _ = projected.shape
        return projected.reshape([batch, attention.heads, length, -1])

    attention._by_head = by_head


def _small_penalty(model: Any) -> None:
    encode = model.bert.encoder.forward
    model.bert.encoder.forward = lambda states, mask: encode(states, mask.clip(min=-1e4))


def _no_key_bias(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        _without_key_bias(layer.attention.self)


def _without_key_bias(attention: Any) -> None:
    by_head, key = attention._by_head, attention.key
    plain, projected = key.forward, [None]

    def project(states: Any) -> Any:
        projected[0] = plain(states)
        return projected[0]

    def split(one: Any) -> Any:
        return by_head(one - key.bias if one is projected[0] else one)

    key.forward, attention._by_head = project, split


def _plain_softmax(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        layer.attention.self.forward = _unshifted(layer.attention.self)


def _unshifted(attention: Any) -> Any:
    import paddle
    from paddle.nn import functional

    def forward(states: Any, mask: Any) -> Any:
        query, key, value = (
            attention._by_head(project(states))
            for project in (attention.query, attention.key, attention.value)
        )
        scores = paddle.matmul(query, key, transpose_y=True) * attention.scaling + mask
        powers = scores.exp()
        weights = powers / powers.sum(-1, keepdim=True)
        weights = functional.dropout(weights, attention.dropout.p, training=attention.training)
        context = paddle.matmul(weights, value).transpose([0, 2, 1, 3])
        return context.reshape(states.shape), weights

    return forward


FAULTS = (
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
        "attention-scaled-by-width",
        1,
        "bert.encoder.layer.0.attention.self",
        "scores are divided by the root of the hidden size, not of a head's size",
        built(_by_whole_width),
    ),
    Fault(
        "heads-by-reshape",
        1,
        "bert.encoder.layer.1.attention.self",
        "heads are made by a reshape alone, so that each takes words of several",
        built(_heads_by_reshape),
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
        "key-bias-dropped",
        1,
        "bert.encoder.layer.0.attention.self",
        "the keys' bias does not reach the scores",
        built(_no_key_bias),
        equivalent="it adds the same to all scores of a query, which the softmax takes away again",
    ),
    Fault(
        "softmax-unshifted",
        1,
        "bert.encoder.layer.0.attention.self",
        "the softmax does not subtract the largest score before it exponentiates",
        built(_plain_softmax),
        equivalent="the factor cancels, and no score comes near 88, where float32 overflows",
    ),
)
