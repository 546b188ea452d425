"""The port's evaluation: its own scorer against seqeval, and that batching does not move it."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

paddle = import_paddle()

from jointbert.in_paddle import metrics  # noqa: E402
from jointbert.in_paddle.data import encode  # noqa: E402
from jointbert.in_paddle.metrics import entities, evaluate, scores  # noqa: E402
from jointbert.in_paddle.model import JointBert, build_model  # noqa: E402

Prepare = Callable[..., dict[str, Any]]
SCORES = ("intent_acc", "slot_precision", "slot_recall", "slot_f1", "semantic_frame_acc")
TAG = st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b", "UNK", "PAD", "B-a-b", "I-a-b"])
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=7), min_size=1, max_size=3)


def built(settings: dict[str, Any], dtype: str = "float64") -> JointBert:
    paddle.seed(0)
    model = build_model(settings)
    model.to(dtype=dtype)
    return model


class Oracle(JointBert):
    """Predicts the labels that it is given."""

    def forward(self, **batch: Any) -> dict[str, Any]:
        return {
            "intent_logits": 50 * self.one_hot(batch["intent_label_ids"], self.task.intents),
            "slot_logits": 50 * self.one_hot(batch["slot_labels_ids"], self.task.slots),
        }

    def one_hot(self, labels: Any, count: int) -> Any:
        return paddle.nn.functional.one_hot(labels, count).astype("float64")


def oracle(settings: dict[str, Any]) -> JointBert:
    model = built(settings)
    model.__class__ = Oracle
    return model


@hypothesis_settings(deadline=None, max_examples=300)
@given(sentences=PAIRS)
def test_the_scores_are_those_of_seqeval(sentences: list[list[tuple[str, str]]]):
    seqeval = pytest.importorskip("seqeval.metrics")
    gold, guess = ([[pair[side] for pair in one] for one in sentences] for side in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            score(gold, guess, zero_division=0)
            for score in (seqeval.precision_score, seqeval.recall_score, seqeval.f1_score)
        ]
    found = scores([entities(one) for one in gold], [entities(one) for one in guess])
    assert found == pytest.approx(expected, rel=1e-15)


def test_an_entity_is_a_type_and_its_words():
    assert entities(["B-a", "I-a", "O", "I-b", "B-b"]) == {("a", 0, 2), ("b", 3, 4), ("b", 4, 5)}


def test_scores_count_entities_not_sentences_or_words():
    gold = [entities(["B-a", "I-a", "O", "B-b"]), entities(["B-a"] * 3)]
    guess = [entities(["B-a", "O", "O", "B-b"]), entities(["B-a"] * 3)]
    assert scores(gold, guess) == (4 / 5, 4 / 5, 4 / 5)


def test_nothing_found_scores_zero():
    assert scores([{("a", 0, 1)}], [set()]) == (0.0, 0.0, 0.0)


def test_right_predictions_score_one_and_lose_nothing(prepared: Prepare):
    settings = prepared()
    result = evaluate(oracle(settings), settings, "test")
    assert [result[name] for name in SCORES] == [1.0] * 5
    assert result["loss"] < 1e-12


def test_one_wrong_slot_costs_one_frame_and_no_intent(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
):
    settings = prepared()
    original = metrics._batch_outcomes

    def spoilt(model: Any, batch: Any) -> Any:
        outcomes = original(model, batch)
        if len(outcomes) == 1:
            predicted = outcomes[0]["slot_predictions"].copy()
            predicted[0] = 3 if predicted[0] == 2 else 2
            outcomes[0]["slot_predictions"] = predicted
        return outcomes

    monkeypatch.setattr(metrics, "_batch_outcomes", spoilt)
    result = evaluate(oracle(settings), settings, "dev")
    assert result["intent_acc"] == 1.0
    assert result["semantic_frame_acc"] == pytest.approx(128 / 129)


@pytest.mark.parametrize("crf", [False, True])
def test_predictions_and_metrics_do_not_depend_on_batching(prepared: Prepare, crf: bool):
    settings = prepared(crf=crf)
    model = built(settings)
    first = evaluate(model, settings, "dev")
    for changes in ({"bucket": False}, {"eval_batch_size": 5}):
        second = evaluate(model, {**settings, **changes}, "dev")
        for name, value in first.items():
            if name in ("intent_predictions", "slot_predictions"):
                assert np.array_equal(value, second[name])
            else:
                np.testing.assert_allclose(value, second[name], rtol=1e-12)


def test_the_loss_is_the_mean_over_examples(prepared: Prepare):
    settings = {**prepared(), "eval_batch_size": 1}
    model = built(settings)
    model.eval()
    losses = []
    for batch in metrics.evaluation_batches(settings, "dev"):
        tensors = {name: paddle.to_tensor(array) for name, array in batch.items()}
        losses.append(model(**tensors)["loss"].item())
    assert evaluate(model, settings, "dev")["loss"] == pytest.approx(np.mean(losses), rel=1e-12)


def test_decisions_come_in_the_order_of_the_file(prepared: Prepare):
    settings = prepared()
    result = evaluate(oracle(settings), settings, "dev")
    examples = encode(settings, "dev")
    assert result["intent_predictions"].tolist() == [one.intent for one in examples]
    assert result["slot_predictions"].tolist() == [i for one in examples for i in one.slots if i]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_decisions_are_int64_and_scores_keep_the_models_precision(prepared: Prepare, dtype: str):
    settings = prepared()
    result = evaluate(built(settings, dtype), settings, "dev")
    assert result["intent_predictions"].dtype == result["slot_predictions"].dtype == np.int64
    assert result["intent_logits"].dtype == np.dtype(dtype)
    assert result["intent_logits"].shape[0] == len(result["intent_predictions"]) == 129


def test_crf_predictions_are_those_of_viterbi(prepared: Prepare):
    settings = prepared(crf=True)
    model = built(settings)
    with paddle.no_grad():
        model.crf.start_transitions[5] = 1e6
        model.crf.transitions[:, 5] = 1e6
    assert set(evaluate(model, settings, "dev")["slot_predictions"].tolist()) == {5}


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_mode_as_it_was_and_drops_nothing(prepared: Prepare, training: bool):
    settings = prepared()
    model = built(settings)
    model.train() if training else model.eval()
    losses = {evaluate(model, settings, "dev")["loss"] for _ in range(2)}
    assert model.training is training
    assert len(losses) == 1
