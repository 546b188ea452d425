"""Training the port: the loop, its best epoch, and that it repeats."""

from collections.abc import Callable
from typing import Any

from frameworks import import_paddle

paddle = import_paddle()

from jointbert.in_paddle.metrics import evaluate  # noqa: E402
from jointbert.in_paddle.train import Listener, fit  # noqa: E402

Prepare = Callable[..., dict[str, Any]]


def test_fitting_lowers_the_loss_and_counts_its_updates(prepared: Prepare):
    settings = prepared(epochs=2)
    seen: list[tuple[int, int, float]] = []
    trained = fit(settings, Listener(on_update=lambda *step: seen.append(step)))
    assert [done for done, _, _ in seen] == list(range(1, 37))
    assert {total for _, total, _ in seen} == {36}
    assert tuple(loss for _, _, loss in seen) == trained.losses
    assert sum(trained.losses[-5:]) < sum(trained.losses[:5])


def test_the_model_of_the_best_epoch_is_returned(prepared: Prepare):
    # At this rate the loss rises again, so that the last epoch is not the best.
    settings = prepared(epochs=3, learning_rate=0.02, schedule="constant")
    trained = fit(settings)
    ranks = [(one["semantic_frame_acc"], -one["loss"]) for one in trained.evaluations]
    assert trained.best == ranks.index(max(ranks))
    again = evaluate(trained.model, settings, "dev")
    assert again["loss"] == trained.evaluations[trained.best]["loss"]


def test_a_rerun_repeats_the_losses(prepared: Prepare):
    settings = prepared(epochs=1)
    assert fit(settings).losses == fit(settings).losses
