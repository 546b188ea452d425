"""A training replayed in little: the right rule reproduces it, and one wrong thing is named."""

from dataclasses import replace

import numpy as np
import pytest

from modelparity.diagnose import clipping, closing, replay
from modelparity.diagnose.optimizers import Adam, adam

UPDATES = 4
OWNERS = ("one.weight",) * 5 + ("one.bias",) * 3
RIGHT = Adam(rate=0.0)
DECAY = np.array([0.01] * 5 + [0.0] * 3)


def training(how, decay):
    """Elements trained by a rule."""
    draw = np.random.default_rng(1)
    start = draw.normal(0.0, 1.0, len(OWNERS))
    gradients = draw.normal(0.0, 1e-4, (UPDATES, len(OWNERS)))
    rates = np.repeat(np.linspace(0.01, 0.004, UPDATES)[:, None], len(OWNERS), axis=1)
    rule = replace(how, rate=1.0, decay=decay, rates=tuple(rates))
    left = [adam(start, gradients[: n + 1], rule).parameter for n in range(UPDATES)]
    return replay.Replay(OWNERS, DECAY, start, gradients, rates, np.array(left))


def test_the_right_rule_reproduces_its_training():
    assert replay.reproduces(training(RIGHT, DECAY), RIGHT, UPDATES)
    assert not replay.reproduces(training(replace(RIGHT, eps=1e-6), DECAY), RIGHT, UPDATES)


@pytest.mark.parametrize(
    ("how", "decay", "said"),
    [
        (replace(RIGHT, eps=1e-6), DECAY, "eps 1e-06 in place of 1e-08"),
        (replace(RIGHT, beta2=0.99), DECAY, "beta2 0.99 in place of 0.999"),
        (RIGHT, np.full(8, 0.01), "parameters that end in bias decay by 0.01"),
        (RIGHT, np.zeros(8), "nothing decays"),
        (replace(RIGHT, coupled=True), DECAY, "the decay is added to the gradient"),
    ],
)
def test_one_wrong_thing_is_named(how, decay, said):
    wrong = training(how, decay)
    tried = replay.rules(wrong, RIGHT, UPDATES)
    found = [str(h) for h in closing(wrong.parameters[-1], wrong.under(RIGHT, UPDATES), tried)]
    assert any(said in text for text in found), found


NORMS = {"a.weight": 3.0, "a.bias": 1.0, "b.weight": 2.0, "b.bias": 0.5}
GROUPS = {"a.weight": 0.01, "a.bias": 0.0, "b.weight": 0.01, "b.bias": 0.0}


def shares(norm):
    """What clipping at 1 leaves of each gradient, by these norms."""
    return np.minimum(1.0, 1.0 / (np.array(norm) + 1e-6))


def group(names):
    return float(np.linalg.norm([NORMS[name] for name in names]))


def twice(left):
    """What is left where all are clipped by their norm after this."""
    return left * shares([np.linalg.norm(left * list(NORMS.values()))] * 4)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (shares(list(NORMS.values())), "clipped by its own norm"),
        (
            shares([group(["a.weight", "b.weight"]), group(["a.bias", "b.bias"])] * 2),
            "the gradients of a group are clipped by their norm, not by that of all",
        ),
        (
            shares([group(["a.weight", "a.bias"])] * 2 + [group(["b.weight", "b.bias"])] * 2),
            "the gradients of a, b are each clipped by their norm",
        ),
        (
            twice(shares([group(["a.weight", "b.weight"]), group(["a.bias", "b.bias"])] * 2)),
            "of a group are clipped by their norm first, then all by theirs",
        ),
        (np.ones(4), "gradients are not clipped"),
        (2.0 * shares([group(NORMS)] * 4), "the limit is 2 in place of 1"),
    ],
)
def test_another_clipping_is_named(left, said):
    reference = shares([group(NORMS)] * 4)
    tried = clipping.shares(NORMS, reference, GROUPS)
    found = [str(hint) for hint in closing(left, reference, tried)]
    assert any(said in text for text in found), found


def test_a_decay_in_the_gradient_is_found_with_its_coefficient():
    draw = np.random.default_rng(2)
    gradient, parameter = draw.normal(0.0, 1.0, (2, 50))
    found = replay.decayed_gradient(0.5 * (gradient + 0.01 * parameter), 0.5 * gradient, parameter)
    assert found == pytest.approx(0.005)
    assert replay.decayed_gradient(gradient**2, gradient, parameter) is None
