"""The reference's optimizer: its rule by hand, its rates and its clipping."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")

from jointbert.in_torch.model import JointBert, build_model  # noqa: E402
from jointbert.in_torch.optimize import build_optimizer, update  # noqa: E402

Prepare = Callable[..., dict[str, Any]]


def built(settings: dict[str, Any]) -> JointBert:
    torch.manual_seed(0)
    return build_model(settings).double()


def rates(settings: dict[str, Any], updates: int, steps: int) -> list[float]:
    model = built(settings)
    optimizer, schedule = build_optimizer(model, settings, updates)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        update(model, optimizer, schedule, settings)
    return found


def fill(model: JointBert, norm: float) -> None:
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    total = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
    for parameter in model.parameters():
        parameter.grad *= norm / total


@pytest.mark.parametrize("warmup", [0, 4])
def test_the_linear_schedule_rises_falls_and_stays_at_zero(prepared: Prepare, warmup: int):
    settings = prepared(learning_rate=0.1, warmup_steps=warmup)
    rise = [0.1 * (step / 4) for step in range(warmup)]
    fall = [0.1 * ((10 - step) / (10 - warmup)) for step in range(warmup, 10)]
    assert rates(settings, 10, 13) == [*rise, *fall, 0.0, 0.0, 0.0]


def test_the_constant_schedule_stays_after_its_warm_up(prepared: Prepare):
    settings = prepared(learning_rate=0.1, warmup_steps=2, schedule="constant")
    assert rates(settings, 4, 7) == [0.0, 0.05, *[0.1] * 5]


def test_an_update_follows_the_published_rule(prepared: Prepare):
    settings = prepared(learning_rate=0.01, weight_decay=0.1, schedule="constant")
    model = built(settings)
    optimizer, schedule = build_optimizer(model, settings, 10)
    name = "bert.pooler.dense.weight"
    weight = dict(model.named_parameters())[name]
    value, first, second = weight.detach().numpy().copy(), 0.0, 0.0
    for step in range(1, 6):
        fill(model, 0.01)
        gradient = weight.grad.numpy().copy()
        update(model, optimizer, schedule, settings)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        value = value * (1 - 0.01 * 0.1)
        root = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        value = value - 0.01 * first / (1 - 0.9**step) / root
    np.testing.assert_allclose(weight.detach().numpy(), value, rtol=1e-12, atol=1e-15)


def test_biases_and_layernorm_weights_do_not_decay(prepared: Prepare):
    settings = prepared(weight_decay=0.1, learning_rate=0.1, schedule="constant", crf=True)
    model = built(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    optimizer, schedule = build_optimizer(model, settings, 10)
    update(model, optimizer, schedule, settings)
    kept = {n for n, p in model.named_parameters() if (p == 1).all()}
    assert kept == {
        n for n, _ in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n
    }


def test_gradients_are_clipped_by_their_common_norm(prepared: Prepare):
    settings = prepared()
    model = built(settings)
    optimizer, schedule = build_optimizer(model, settings, 10)
    fill(model, 100.0)
    before = {n: p.grad.clone() for n, p in model.named_parameters()}
    update(model, optimizer, schedule, settings)
    for name, parameter in model.named_parameters():
        expected = before[name] / (100.0 + 1e-6)
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-12, atol=0)


def test_small_gradients_are_left_as_they_are(prepared: Prepare):
    settings = prepared()
    model = built(settings)
    optimizer, schedule = build_optimizer(model, settings, 10)
    fill(model, 0.01)
    before = {n: p.grad.clone() for n, p in model.named_parameters()}
    update(model, optimizer, schedule, settings)
    assert all(torch.equal(p.grad, before[n]) for n, p in model.named_parameters())
