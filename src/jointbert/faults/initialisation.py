"""Faults of step 9: the port starts from other weights where it makes its own."""

from collections.abc import Callable
from typing import Any

from jointbert.faults.planting import built, running
from modelparity import Fault


def _frameworks_own(model: Any) -> None:
    from paddle.nn.initializer import XavierUniform

    for head in (model.intent_classifier, model.slot_classifier):
        XavierUniform()(head.linear.weight)


def _twice_as_wide(model: Any) -> None:
    import paddle

    with paddle.no_grad():
        model.bert.embeddings.position_embeddings.weight.scale_(2.0)


def _without_tails(model: Any) -> None:
    import paddle
    from paddle.nn.initializer import TruncatedNormal

    table = model.bert.embeddings.word_embeddings
    with paddle.no_grad():
        deviation = float(table.weight.std())
        TruncatedNormal(0.0, deviation, -2.0 * deviation, 2.0 * deviation)(table.weight)
        table.weight[table.padding_index] = 0.0


def _drawn_padding(model: Any) -> None:
    import paddle

    table = model.bert.embeddings.word_embeddings
    with paddle.no_grad():
        row = paddle.randn(table.weight.shape[1:]).astype(table.weight.dtype)
        table.weight[table.padding_index] = row * float(table.weight.std())


def _drawn_biases(model: Any) -> None:
    from paddle.nn.initializer import Uniform

    for head in (model.intent_classifier, model.slot_classifier):
        bound = head.linear.weight.shape[0] ** -0.5
        Uniform(-bound, bound)(head.linear.bias)


def _kaiming(model: Any) -> None:
    from paddle.nn.initializer import KaimingUniform

    for head in (model.intent_classifier, model.slot_classifier):
        KaimingUniform()(head.linear.weight)
        KaimingUniform()(head.linear.bias)


def _own_seed(build: Callable[..., Any], settings: Any) -> Any:
    import paddle

    paddle.seed(42)
    return build(settings)


FAULTS = (
    Fault(
        "heads-by-xavier",
        9,
        "intent_classifier.linear.weight",
        "the heads are drawn by the framework's own initialiser",
        built(_frameworks_own),
    ),
    Fault(
        "heads-by-kaiming",
        9,
        "intent_classifier.linear.",
        "the heads' weights and biases are drawn by Kaiming's rule",
        built(_kaiming),
    ),
    Fault(
        "seed-in-the-model",
        9,
        "bert.embeddings.word_embeddings.weight",
        "the model sets a seed of its own, so that every run starts alike",
        running("build_model", _own_seed),
    ),
    Fault(
        "positions-too-wide",
        9,
        "bert.embeddings.position_embeddings.weight",
        "twice the standard deviation",
        built(_twice_as_wide),
    ),
    Fault(
        "words-without-tails",
        9,
        "bert.embeddings.word_embeddings.weight",
        "drawn from a normal distribution cut at two standard deviations, as in TensorFlow's BERT",
        built(_without_tails),
    ),
    Fault(
        "padding-drawn",
        9,
        "bert.embeddings.word_embeddings.weight",
        "one row: the padding's embedding is drawn like the others and not zero",
        built(_drawn_padding),
    ),
    Fault(
        "biases-drawn",
        9,
        "intent_classifier.linear.bias",
        "the heads' biases are drawn, as torch.nn.Linear does, and do not start from zero",
        built(_drawn_biases),
    ),
)
