"""Faults of step 3: the port scores otherwise, or errs where only whole splits show it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jointbert.embedded import vocabulary
from jointbert.faults.planting import Functions, built, patched, running, under
from modelparity import Fault

Settings = Mapping[str, Any]
Entities = set[tuple[str, int, int]]

LAST = 31  # position; the sample batches of step 1 are shorter
RARE = "##ß"  # in no sample batch of step 1


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


def _begun(labels: Sequence[str]) -> Entities:
    """Entities by the strict reading of IOB2: I- without a B- before it is nothing."""
    found: Entities = set()
    begins = [at for at, label in enumerate(labels) if label.startswith("B-")]
    for first in begins:
        kind, behind = labels[first][2:], first + 1
        while behind < len(labels) and labels[behind] == f"I-{kind}":
            behind += 1
        found.add((kind, first, behind))
    return found


def _slots_alone(
    evaluate: Callable[..., dict[str, Any]], model: Any, settings: Settings, split: str
) -> dict[str, Any]:
    from jointbert.in_paddle.data import encode

    result = evaluate(model, settings, split)
    ignored = settings["ignore_index"]
    words = [sum(slot != ignored for slot in one.slots) for one in encode(settings, split)]
    ends = np.cumsum(words)[:-1]
    gold, predicted = (np.split(result[f"slot_{what}"], ends) for what in ("labels", "predictions"))
    right = [np.array_equal(*pair) for pair in zip(gold, predicted, strict=True)]
    return {**result, "semantic_frame_acc": float(np.mean(right))}


def _short_table(model: Any) -> None:
    table = model.bert.embeddings.position_embeddings
    look_up = table.forward
    table.forward = lambda positions: look_up(positions.clip(max=LAST))


def _row_lost(model: Any) -> None:
    table, row = model.bert.embeddings.word_embeddings, vocabulary().index(RARE)
    look_up = table.forward

    def forward(ids: Any) -> Any:
        rows = look_up(ids)
        return rows * (ids != row).astype(rows.dtype).unsqueeze(-1)

    table.forward = forward


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
    Fault(
        "orphans-ignored",
        3,
        "slot_precision",
        "entities that begin with I- are not counted, as by a strict reading of IOB2",
        under("evaluate", "metrics", entities=_begun),
    ),
    Fault(
        "frames-without-intent",
        3,
        "semantic_frame_acc",
        "a frame is right when its slots are, whatever its intent",
        running("evaluate", _slots_alone),
    ),
    Fault(
        "positions-clamped",
        3,
        "loss",
        f"only sentences longer than the sample's: positions behind {LAST} share its embedding",
        built(_short_table),
    ),
    Fault(
        "one-row-lost",
        3,
        "loss",
        f"one row of the word embeddings, that of {RARE}, is zero",
        built(_row_lost),
    ),
)
