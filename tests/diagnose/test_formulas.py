"""Mistakes inside modules, between them, in losses, updates and schedules are named."""

from dataclasses import replace

import numpy as np
import pytest

from modelparity.diagnose import (
    attention,
    clipping,
    closing,
    dropouts,
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


def test_the_parameters_of_another_layer_are_named():
    other = {"weight": RANDOM.standard_normal((8, 8)), "bias": -BIAS}
    right, wrong = X @ SQUARE.T + BIAS, X @ other["weight"].T + other["bias"]
    own = {"weight": SQUARE, "bias": BIAS}
    tried = layers.hypotheses(X, right, own, (), {"layer.1": other})
    [hint] = named(wrong, right, tried)
    assert hint.startswith("with the parameters of layer.1 in place of its own")


@pytest.mark.parametrize(("row", "said"), [(9, "4 is row 9"), (None, "4 gives zeros")])
def test_a_single_row_that_is_looked_up_wrongly_is_named(row, said):
    ids, table = np.arange(12).reshape(3, 4), RANDOM.standard_normal((30, 8))
    wrong = table[ids]
    wrong[ids == 4] = 0.0 if row is None else table[row]
    tried = layers.looked_up(ids, wrong, {"weight": table})
    [hint] = named(wrong, table[ids], tried)
    assert f"only some rows are others: {said}" in hint


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
        (replace(RIGHT, inverted=True), "the mask is inverted"),
        (replace(RIGHT, penalty=-10.0), "-10 is added to the scores at padding"),
        (replace(RIGHT, penalty=1.0, inverted=True), "1 is added to the scores of words"),
    ],
)
def test_a_mistake_in_attention_is_named(form, said):
    right = attention.attend(QKV, MASK, RIGHT)
    tried = attention.hypotheses(QKV, right, MASK)
    assert any(said in hint for hint in named(attention.attend(QKV, MASK, form), right, tried))


KEPT = (RANDOM.random((6, 4, 9, 9)) >= 0.1) / 0.9


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"dropped": "scores"}, "dropout acts on the scores, before the softmax"),
        ({"kept": None}, "probabilities are not dropped"),
    ],
)
def test_where_dropout_acts_in_attention_is_named(how, said):
    form = replace(RIGHT, kept=KEPT)
    right, wrong = (attention.attend(QKV, MASK, f) for f in (form, replace(form, **how)))
    found = named(wrong, right, attention.hypotheses(QKV, right, MASK, KEPT))
    assert any(said in hint for hint in found), found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda a, b, kept: a + b, "what drop is given comes here undropped"),
        (lambda a, b, kept: kept * (a + b), "drop drops the whole of it"),
        (lambda a, b, kept: a + kept * b, "drop drops what its output is added to"),
    ],
)
def test_what_dropout_acts_on_is_named(wrong, said):
    a, b = X, RANDOM.standard_normal(X.shape)
    kept = (RANDOM.random(X.shape) >= 0.1) / 0.9
    right, made = kept * a + b, wrong(a, b, kept)
    tried = dropouts.hypotheses(right, {"drop": kept * a}, {"drop": a})
    [hint, *_] = named(made, right, tried)
    assert said in hint


def test_a_missing_residual_and_another_position_are_named():
    known = {"feed": X, "skip": RANDOM.standard_normal(X.shape)}
    right = known["feed"] + known["skip"]
    found = named(known["feed"], right, wiring.hypotheses(known["feed"], right, known))
    assert any("skip is missing from the sum" in hint for hint in found)
    found = named(X[:, -1], X[:, 0], wiring.hypotheses(X[:, -1], X[:, 0], known))
    assert any("the last position of feed is taken" in hint for hint in found)


def test_a_residual_from_elsewhere_is_named():
    known = {"feed": X, "skip": X**2, "start": X**3}
    right, wrong = X + X**2, X + X**3
    [hint, *_] = named(wrong, right, wiring.hypotheses(wrong, right, known))
    assert "start is added in place of skip" in hint


def test_a_normalisation_that_subtracts_no_mean_is_named():
    parameters = {"weight": WEIGHT, "bias": BIAS}
    centred = X - X.mean(-1, keepdims=True)
    right = centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-12) * WEIGHT + BIAS
    wrong = X / np.sqrt(np.square(X).mean(-1, keepdims=True) + 1e-12) * WEIGHT + BIAS
    [hint, *_] = named(wrong, right, layers.hypotheses(X, right, parameters))
    assert "with RMSNorm, which subtracts no mean" in hint


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


def test_a_loss_with_smoothed_labels_is_named():
    scores, labels = RANDOM.standard_normal((9, 5)), RANDOM.integers(0, 5, 9)
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    right = np.array(-logs[np.arange(9), labels].mean())
    wrong = 0.95 * right - 0.05 * logs.mean()
    tried = losses.hypotheses(right, {"logits": scores}, {"labels": labels}, None)
    [hint] = named(wrong, right, tried)
    assert "labels smoothed by 0.05" in hint


@pytest.mark.parametrize(("share", "said"), [(0.5, "slot counts 0.5 times"), (0.1234567, "")])
def test_of_single_losses_only_a_usual_share_is_named(share, said):
    known = {"intent": np.array(3.2649), "slot": np.array(4.3698)}
    right, wrong = (np.array(3.2649 + part * 4.3698) for part in (1.0, share))
    found = named(wrong, right, wiring.hypotheses(wrong, right, known))
    assert [hint.partition(" in the sum")[0] for hint in found] == [said] * bool(said)


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
        (replace(ADAM, uncorrected=("first", "second")), "parameter", "bias is not corrected"),
        (replace(ADAM, place="before"), "parameter", "before the second moment's bias"),
        (replace(ADAM, place="inside"), "parameter", "under the root"),
        (replace(ADAM, decay=0.01), "parameter", "it decays by 0.01"),
        (replace(ADAM, rate=2e-3), "parameter", "the rate is 2 times as large"),
        (replace(ADAM, uncorrected=("second",)), "parameter", "the second moment's bias is not"),
        (replace(ADAM, ahead=1), "parameter", "as if one update more were done"),
        (replace(ADAM, rule="belief"), "second_moment", "distance from the first (AdaBelief)"),
        (replace(ADAM, rule="sign"), "parameter", "the step is the gradient's sign"),
        (replace(ADAM, rule="trust"), "parameter", "scaled by the parameter's norm"),
        (replace(ADAM, rule="none"), "parameter", "nothing is updated"),
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
    tried = clipping.clipped("a", given, right, {}, {"a": wrong})
    [hint, *_] = named(wrong, right, tried)
    assert hint.startswith("every gradient is clipped by its own norm")
    wrong = sketch(given["a"] / total)
    tried = clipping.clipped("a", given, right, {}, {"a": wrong})
    [hint, *_] = named(wrong, right, tried)
    assert hint.startswith("the norm is taken without PyTorch's 1e-6")


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        (lambda g: sum(np.abs(a).sum() for a in g.values()), "the sum of all magnitudes"),
        (lambda g: max(np.abs(a).max() for a in g.values()), "the largest element is the norm"),
        (
            lambda g: np.sqrt(sum((a**2).sum() for n, a in g.items() if n.startswith("bert."))),
            "the gradients of bert, head are each clipped by their norm, not by that of all",
        ),
    ],
)
def test_clipping_by_another_norm_is_named(norm, said):
    given = {"bert.a": GRADIENTS[0] * 100, "bert.b": GRADIENTS[1] * 300, "head": GRADIENTS[2]}
    total = np.sqrt(sum((g**2).sum() for g in given.values()))
    right = sketch(given["bert.a"] / (total + 1e-6))
    wrong = sketch(given["bert.a"] / (norm(given) + 1e-6))
    tried = clipping.clipped("bert.a", given, right, {}, {"bert.a": wrong})
    found = named(wrong, right, tried)
    assert any(said in hint for hint in found), found


def test_gradients_that_are_scaled_up_to_the_limit_are_named():
    given = {"a": GRADIENTS[0] * 1e-3, "b": GRADIENTS[1] * 1e-3}
    total = np.sqrt(sum((g**2).sum() for g in given.values()))
    right, wrong = sketch(given["a"]), sketch(given["a"] / total)
    [hint] = named(wrong, right, clipping.clipped("a", given, right, {}, {"a": wrong}))
    assert hint.startswith("gradients are scaled to a norm of 1 though theirs")


@pytest.mark.parametrize("limit", [0.5, 1.0])
@pytest.mark.parametrize("name", ["large", "small"])
def test_elements_that_are_cut_are_named_where_none_is_large_enough_too(limit, name):
    given = {"large": GRADIENTS[0][:9] * 100, "small": GRADIENTS[1] * 1e-4}
    total = np.sqrt(sum((g**2).sum() for g in given.values()))
    right = sketch(given[name] / (total + 1e-6))
    reached = {n: sketch(np.clip(g, -limit, limit)) for n, g in given.items()}
    tried = clipping.clipped(name, given, right, {}, reached)
    [hint, *_] = named(reached[name], right, tried)
    assert hint.startswith(f"every element is cut to {limit:g}")


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


UPDATES = np.arange(185)
FALL = LINEAR.rates(185)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.where(UPDATES < 40, FALL, np.maximum(FALL, 5e-6)), "0.1 of the peak, not at 0, and"),
        (np.where(UPDATES < 40, FALL, 5e-6 + 0.9 * FALL), "it ends at 0.1 of the peak, not at 0"),
        (FALL[UPDATES // 18 * 18], "it changes only every 18 updates"),
        (
            np.where(UPDATES < 40, 5e-5 * (UPDATES / 40) ** 2, FALL),
            "the warm-up differs: it is qua",
        ),
        (np.where(UPDATES < 40, 5e-5 * (UPDATES + 1) / 40, FALL), "it is one update early"),
        (
            np.where(
                UPDATES < 40,
                FALL,
                np.where(UPDATES < 180, 5e-5 * (1 - (UPDATES - 40) % 70 / 70), 0.0),
            ),
            "starts again after every 70 updates",
        ),
        (5e-5 * (FALL / 5e-5).astype("f4").astype("f8"), "went through float32"),
    ],
)
def test_a_bent_schedule_is_named(wrong, said):
    found = named(wrong, FALL, schedules.hypotheses(wrong, FALL, 5))
    assert any(said in hint for hint in found), found
