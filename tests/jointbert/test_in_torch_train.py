"""Training the reference: the loop, and that the embedded task suits step 3 of the ladder."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")

from jointbert.in_torch import side  # noqa: E402
from jointbert.in_torch.metrics import evaluate  # noqa: E402
from jointbert.in_torch.train import Listener, fit  # noqa: E402

Prepare = Callable[..., dict[str, Any]]
SCORES = ("intent_acc", "slot_precision", "slot_recall", "slot_f1", "semantic_frame_acc")


def batches(settings: dict[str, Any]):
    for epoch in count():
        yield from side.training_batches(settings, epoch)


@pytest.mark.parametrize("crf", [False, True])
def test_150_updates_bring_every_embedded_score_strictly_between_zero_and_one(
    prepared: Prepare, crf: bool
):
    settings = prepared(crf=crf)
    torch.manual_seed(settings["seed"])
    model = side.build_model(settings).train()
    updates = settings["trained_updates"]
    optimizer, schedule = side.build_optimizer(model, settings, updates)
    for _, batch in zip(range(updates), batches(settings), strict=False):
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        side.forward(model, tensors)["loss"].backward()
        side.update(model, optimizer, schedule, settings)
        optimizer.zero_grad()
    for split in ("dev", "test"):
        result = side.evaluate(model, settings, split)
        assert all(0.2 < result[name] < 0.98 for name in SCORES), result


def test_fitting_lowers_the_loss_and_counts_its_updates(prepared: Prepare):
    settings = prepared(epochs=2)
    seen: list[tuple[int, int, float]] = []
    trained = fit(settings, Listener(on_update=lambda *step: seen.append(step)))
    assert [done for done, _, _ in seen] == list(range(1, 37))
    assert {total for _, total, _ in seen} == {36}
    assert tuple(loss for _, _, loss in seen) == trained.losses
    assert sum(trained.losses[-5:]) < sum(trained.losses[:5])


def test_the_model_of_the_best_epoch_is_returned(prepared: Prepare):
    settings = prepared(epochs=2, crf=True)
    trained = fit(settings)
    best = trained.evaluations[trained.best]
    assert len(trained.evaluations) == 2
    assert best["semantic_frame_acc"] == max(
        one["semantic_frame_acc"] for one in trained.evaluations
    )
    again = evaluate(trained.model, settings, "dev")
    assert again["loss"] == best["loss"]


def test_a_rerun_repeats_the_losses(prepared: Prepare):
    settings = prepared(epochs=1)
    assert fit(settings).losses == fit(settings).losses
