"""Faults of step 3: the port scores the same predictions otherwise."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jointbert.faults.planting import Functions, patched, running, under
from modelparity import Fault

Settings = Mapping[str, Any]
Entities = set[tuple[str, int, int]]


def _words(labels: Sequence[str]) -> Entities:
    return {(label, at, at + 1) for at, label in enumerate(labels) if label != "O"}


def _macro(
    evaluate: Callable[..., dict[str, Any]], model: Any, settings: Settings, split: str
) -> dict[str, Any]:
    from jointbert.in_paddle.metrics import scores

    def of_kind(kind: str, sentences: Sequence[Entities]) -> list[Entities]:
        return [{entity for entity in one if entity[0] == kind} for one in sentences]

    def averaged(gold: Sequence[Entities], predicted: Sequence[Entities]) -> tuple[float, ...]:
        kinds = sorted({kind for one in gold for kind, _, _ in one})
        each = [scores(of_kind(kind, gold), of_kind(kind, predicted)) for kind in kinds]
        return tuple(sum(column) / len(kinds) for column in zip(*each, strict=True))

    with patched("metrics", scores=averaged):
        return evaluate(model, settings, split)


def _mean_of_means(functions: Functions) -> Functions:
    def evaluate(model: Any, settings: Settings, split: str) -> dict[str, Any]:
        import paddle

        losses = []
        model.eval()
        with paddle.no_grad():
            for batch in functions["evaluation_batches"](settings, split):
                tensors = {name: paddle.to_tensor(array) for name, array in batch.items()}
                losses.append(float(functions["forward"](model, tensors)["loss"]))
        return {**functions["evaluate"](model, settings, split), "loss": sum(losses) / len(losses)}

    return {"evaluate": evaluate}


def _order_of_batches(
    evaluate: Callable[..., dict[str, Any]], model: Any, settings: Settings, split: str
) -> dict[str, Any]:
    from jointbert.in_paddle.data import encode, evaluation_order

    batches = evaluation_order(settings, encode(settings, split))
    order = [index for batch in batches for index in batch]
    result = evaluate(model, settings, split)
    moved = ("intent_predictions", "intent_logits")
    return {**result, **{name: result[name][order] for name in moved}}


FAULTS = (
    Fault(
        "token-level-f1",
        3,
        "slot_precision",
        "words are scored in place of whole entities",
        under("evaluate", "metrics", entities=_words),
    ),
    Fault(
        "macro-f1",
        3,
        "slot_precision",
        "scores are averaged over types of entities",
        running("evaluate", _macro),
    ),
    Fault(
        "mean-of-batch-means",
        3,
        "loss",
        "the mean of the batches' losses, so that the last example weighs as much as 64 others",
        _mean_of_means,
    ),
    Fault(
        "order-of-batches",
        3,
        "intent_predictions",
        "predictions come in the order of the batches, not of the file",
        running("evaluate", _order_of_batches),
    ),
)
