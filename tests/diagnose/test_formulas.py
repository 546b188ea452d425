"""Mistakes inside modules, between them, in losses, updates and schedules are named."""

from dataclasses import replace

import numpy as np
import pytest

from modelparity.diagnose import (
    attention,
    closing,
    first_few,
    layers,
    losses,
    optimizers,
    schedules,
    wiring,
)
from modelparity.sketch import sketch

RANDOM = np.random.default_rng(1)
X = RANDOM.standard_normal((6, 9, 8))
SQUARE = RANDOM.standard_normal((8, 8))
WEIGHT, BIAS = RANDOM.standard_normal(8), RANDOM.standard_normal(8)
MASK = (np.arange(9) < RANDOM.integers(3, 10, 6)[:, None]).astype(np.int64)


def named(candidate, reference, hypotheses):
    return first_few(closing(candidate, reference, hypotheses))


def layernorm(x, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + eps) * WEIGHT + BIAS


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def test_another_eps_of_layernorm_is_named_with_both_values():
    right, wrong = layernorm(X, 1e-12), layernorm(X, 1e-5)
    tried = layers.hypotheses(X, right, {"weight": WEIGHT, "bias": BIAS})
    [hint] = named(wrong, right, tried)
    assert hint.startswith("with eps 1e-05 in place of eps 1e-12: the gap falls from")


def test_an_eps_that_float32_cannot_show_is_named():
    right, wrong = layernorm(X, 1e-12), layernorm(X, 1e-8)
    tried = layers.hypotheses(X, right, {"weight": WEIGHT, "bias": BIAS})
    assert any("with eps 1e-08" in hint for hint in named(wrong, right, tried))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (X @ SQUARE + BIAS, "with the weight transposed and bias"),
        (X @ SQUARE.T, "with the weight, no bias"),
        (X @ SQUARE.T + 2 * BIAS, "added twice"),
    ],
)
def test_a_mistake_in_a_linear_map_is_named(wrong, said):
    right = X @ SQUARE.T + BIAS
    tried = layers.hypotheses(X, right, {"weight": SQUARE, "bias": BIAS})
    assert any(said in hint for hint in named(wrong, right, tried))


def test_another_form_of_gelu_is_named():
    from scipy import special

    right = X * special.ndtr(X)
    [hint] = named(gelu_tanh(X), right, layers.hypotheses(X, right, {}))
    assert "tanh approximation in place of GELU by the error function" in hint


def test_rows_of_an_embedding_one_further_are_named():
    ids = RANDOM.integers(0, 20, (4, 7))
    table = RANDOM.standard_normal((30, 8))
    tried = layers.hypotheses(ids, table[ids], {"weight": table})
    assert any("rows one further" in hint for hint in named(table[ids + 1], table[ids], tried))


QKV = tuple(RANDOM.standard_normal((6, 9, 8)) for _ in range(3))
RIGHT = attention.Form(heads=4)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (replace(RIGHT, masked=False), "padding is not masked"),
        (replace(RIGHT, scale="one"), "not divided by sqrt"),
        (replace(RIGHT, causal=True), "only to what precedes"),
        (replace(RIGHT, heads=2), "2 heads in place of 4"),
        (replace(RIGHT, interleaved=True), "interleaved"),
        (replace(RIGHT, reshaped=True), "by a reshape alone"),
    ],
)
def test_a_mistake_in_attention_is_named(form, said):
    right = attention.attend(QKV, MASK, RIGHT)
    tried = attention.hypotheses(QKV, right, MASK)
    assert any(said in hint for hint in named(attention.attend(QKV, MASK, form), right, tried))


def test_a_missing_residual_and_another_position_are_named():
    known = {"feed": X, "skip": RANDOM.standard_normal(X.shape)}
    right = known["feed"] + known["skip"]
    found = named(known["feed"], right, wiring.hypotheses(known["feed"], right, known))
    assert any("skip is missing from the sum" in hint for hint in found)
    found = named(X[:, -1], X[:, 0], wiring.hypotheses(X[:, -1], X[:, 0], known))
    assert any("the last position of feed is taken" in hint for hint in found)


def test_a_loss_over_all_positions_is_named():
    scores = RANDOM.standard_normal((6, 9, 5))
    labels = np.where(MASK == 1, RANDOM.integers(0, 5, (6, 9)), -100)
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    each = -np.take_along_axis(logs, np.maximum(labels, 0)[..., None], -1)[..., 0]
    total = each[labels >= 0].sum()
    right, wrong = np.array(total / (labels >= 0).sum()), np.array(total / labels.size)
    tried = losses.hypotheses(right, {"logits": scores}, {"labels": labels}, MASK)
    [hint, *_] = named(wrong, right, tried)
    assert "divided by all positions, not the mean over labelled positions" in hint


def test_an_integer_mask_that_is_used_as_an_index_is_named():
    scores = RANDOM.standard_normal((6, 9, 5))
    labels = RANDOM.integers(0, 5, (6, 9))
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    each = -np.take_along_axis(logs, labels[..., None], -1)[..., 0]
    right, wrong = np.array(each[MASK == 1].mean()), np.array(each.reshape(-1)[MASK].mean())
    tried = losses.hypotheses(right, {"logits": scores}, {"labels": labels}, MASK)
    [hint, *_] = named(wrong, right, tried)
    assert "picked by an integer mask as if by an index" in hint


START = RANDOM.standard_normal((90, 70))
GRADIENTS = [RANDOM.standard_normal(START.shape) * 0.01 for _ in range(3)]
ADAM = optimizers.Adam(rate=1e-3)


def after(how, kind="parameter"):
    return sketch(getattr(optimizers.adam(START, GRADIENTS, how), kind))


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        (replace(ADAM, eps=1e-6), "parameter", "eps 1e-06 in place of 1e-08"),
        (replace(ADAM, beta2=0.99), "second_moment", "beta2 0.99 in place of 0.999"),
        (replace(ADAM, corrects=False), "parameter", "bias is not corrected"),
        (replace(ADAM, place="before"), "parameter", "before the second moment's bias"),
        (replace(ADAM, place="inside"), "parameter", "under the root"),
        (replace(ADAM, decay=0.01), "parameter", "it decays by 0.01"),
        (replace(ADAM, rate=2e-3), "parameter", "the rate is 2 times as large"),
    ],
)
def test_a_mistake_in_adam_is_named(how, kind, said):
    right = after(ADAM, kind)
    tried = optimizers.hypotheses(kind, (START, GRADIENTS), right, replace(ADAM, rate=0.0), 0.01)
    assert any(said in hint for hint in named(after(how, kind), right, tried))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"coupled": True}, "added to the gradient"),
        ({"late": True}, "what was updated decays"),
        ({"decay": 0.0}, "the decay is left out"),
    ],
)
def test_a_mistake_in_decay_is_named_under_a_falling_rate(how, said):
    right = replace(ADAM, decay=0.01, rates=(1.0, 2 / 3, 1 / 3))
    known = replace(right, rate=0.0, rates=())
    tried = [
        hypothesis
        for form in optimizers.falling(known, 3)
        for hypothesis in optimizers.hypotheses(
            "parameter", (START, GRADIENTS), after(right), form, 0.01
        )
    ]
    found = named(after(replace(right, **how)), after(right), tried)
    assert any(said in hint for hint in found), found


def test_clipping_every_tensor_by_its_own_norm_is_named():
    given = {"a": GRADIENTS[0] * 100, "b": GRADIENTS[1] * 300, "c": GRADIENTS[2]}
    norms = {n: np.linalg.norm(g) for n, g in given.items()}
    total = np.sqrt(sum(n**2 for n in norms.values()))
    right = sketch(given["a"] / (total + 1e-6))
    wrong = sketch(given["a"] / (norms["a"] + 1e-6))
    tried = optimizers.clipped("a", given, right, {})
    [hint, *_] = named(wrong, right, tried)
    assert hint.startswith("every gradient is clipped by its own norm")
    tried = optimizers.clipped("a", given, right, {})
    [hint, *_] = named(sketch(given["a"] / total), right, tried)
    assert hint.startswith("the norm is taken without PyTorch's 1e-6")


LINEAR = schedules.Schedule(5e-5, 40, 180)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"offset": 1}, "one update too early"),
        ({"warmup": 0}, "warm-up are ignored"),
        ({"total": 179}, "the end is at update 179 in place of 180"),
        ({"clamped": False}, "below zero"),
        ({"shape": "cosine"}, "its shape is cosine, not linear"),
        ({"peak": 1e-4}, "the peak is 0.0001 in place of 5e-05"),
        ({"warmup": 57}, "57 updates of warm-up in place of 40"),
    ],
)
def test_a_mistake_in_a_schedule_is_named(how, said):
    right, wrong = LINEAR.rates(185), replace(LINEAR, **how).rates(185)
    found = named(wrong, right, schedules.hypotheses(wrong, right, 5))
    assert any(said in hint for hint in found), found
