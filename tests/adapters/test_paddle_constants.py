"""Constants that Paddle's float64 kernels would round to float32 act as they were given."""

import contextlib
import warnings

import numpy as np
import pytest

# PyTorch comes first where both are installed: this order is the one that loads both.
with contextlib.suppress(ImportError):
    import torch  # noqa: F401
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    paddle = pytest.importorskip("paddle")
    from modelparity.adapters import paddle as adapter

from paddle.nn import functional
from paddle.optimizer import AdamW, Momentum

EPS, CLOSE = 1e-5, 1e-14
SMALL = 0.02 * np.random.default_rng(0).normal(size=(4, 6, 5))  # beside it eps is large


@pytest.fixture(autouse=True)
def started():
    adapter.start(threads=1)


def normed(x, axes, eps=EPS):
    """The formula of every norm."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def double(*shape, fill=1.0):
    return paddle.full(shape, fill, dtype="float64")


def test_the_kernels_themselves_round_eps():
    rounded = normed(SMALL, 2, float(np.float32(EPS)))
    kernel = paddle._C_ops.layer_norm.__wrapped__
    found = kernel(paddle.to_tensor(SMALL), double(5), double(5, fill=0.0), EPS, 2).numpy()
    np.testing.assert_allclose(found, rounded, rtol=0, atol=CLOSE)
    assert np.abs(found - normed(SMALL, 2)).max() > 1e-10


def test_layer_norm():
    found = functional.layer_norm(paddle.to_tensor(SMALL), [5], epsilon=EPS)
    np.testing.assert_allclose(found.numpy(), normed(SMALL, 2), rtol=0, atol=CLOSE)


def test_instance_norm():
    found = functional.instance_norm(paddle.to_tensor(SMALL), eps=EPS)
    np.testing.assert_allclose(found.numpy(), normed(SMALL, 2), rtol=0, atol=CLOSE)


def test_layer_norms_gradient():
    x = paddle.to_tensor(SMALL, stop_gradient=False)
    weights = np.random.default_rng(1).normal(size=SMALL.shape)
    (functional.layer_norm(x, [5], epsilon=EPS) * paddle.to_tensor(weights)).sum().backward()
    scale = np.sqrt(SMALL.var(2, keepdims=True) + EPS)
    y = normed(SMALL, 2)
    inner = weights - weights.mean(2, keepdims=True) - y * (weights * y).mean(2, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), inner / scale, rtol=1e-12)


def batch_norm(training):
    """(output, running mean, running variance) of one run from 0.1 and 0.001."""
    mean, variance = double(6, fill=0.1), double(6, fill=0.001)
    weight, bias = double(6), double(6, fill=0.0)
    how = {"training": training, "momentum": 0.9, "epsilon": EPS}
    x = paddle.to_tensor(SMALL)
    output = functional.batch_norm(x, mean, variance, weight, bias, data_format="NCL", **how)
    return output.numpy(), mean.numpy(), variance.numpy()


def test_batch_norm_in_training():
    found = batch_norm(training=True)
    np.testing.assert_allclose(found[0], normed(SMALL, (0, 2)), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found[1], 0.09 + 0.1 * SMALL.mean((0, 2)), rtol=CLOSE)
    np.testing.assert_allclose(found[2], 0.0009 + 0.1 * SMALL.var((0, 2)), rtol=CLOSE)


def test_batch_norm_in_evaluation():
    output, mean, variance = batch_norm(training=False)
    np.testing.assert_allclose(output, (SMALL - 0.1) / np.sqrt(0.001 + EPS), rtol=CLOSE)
    np.testing.assert_array_equal((mean[0], variance[0]), (0.1, 0.001))


def updated(make, dtype="float64"):
    """A parameter after three updates."""
    p = paddle.create_parameter([3], dtype)
    p.set_value(np.array([1.0, 2.0, 3.0], dtype))
    optimizer = make(p)
    for number in range(3):
        p.grad = paddle.to_tensor(np.array([0.1, -0.2, 0.3], dtype) * (number + 1))
        optimizer.step()
    return p.numpy()


@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
def test_momentum_and_its_decay(nesterov):
    p, velocity = np.array([1.0, 2.0, 3.0]), 0.0
    for number in range(3):
        gradient = np.array([0.1, -0.2, 0.3]) * (number + 1) + 0.1 * p
        velocity = 0.9 * velocity + gradient
        p = p - 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
    how = {"use_nesterov": nesterov, "weight_decay": 0.1}
    found = updated(lambda parameter: Momentum(0.1, 0.9, [parameter], **how))
    np.testing.assert_allclose(found, p, rtol=CLOSE)


def test_a_decoupled_decay():
    decayed = updated(lambda parameter: AdamW(0.1, parameters=[parameter], weight_decay=0.1))
    p, first, second = np.array([1.0, 2.0, 3.0]), 0.0, 0.0
    for number in range(3):
        gradient = np.array([0.1, -0.2, 0.3]) * (number + 1)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        root = np.sqrt(second / (1 - 0.999 ** (number + 1))) + 1e-8
        p = p * (1 - 0.1 * 0.1) - 0.1 * first / (1 - 0.9 ** (number + 1)) / root
    np.testing.assert_allclose(decayed, p, rtol=1e-13)


def test_float32_runs_are_the_kernels_own():
    x = paddle.to_tensor(SMALL.astype(np.float32))
    weight, bias = paddle.ones([5]), paddle.zeros([5])
    kernel = paddle._C_ops.layer_norm.__wrapped__
    own = kernel(x, weight, bias, EPS, 2).numpy()
    np.testing.assert_array_equal(functional.layer_norm(x, [5], weight, bias, EPS).numpy(), own)
