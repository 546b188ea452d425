"""The port's CRF against all label sequences, one by one."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle

paddle = import_paddle()

from jointbert.in_paddle.crf import CRF  # noqa: E402

LABELS, LENGTHS = 3, (4, 1, 3)


def filled(dtype: str = "float64", bound: float = 2.0) -> CRF:
    made = CRF(LABELS)
    made.to(dtype=dtype)
    generator = np.random.default_rng(0)
    for parameter in made.parameters():
        parameter.set_value(generator.uniform(-bound, bound, parameter.shape).astype(dtype))
        parameter.stop_gradient = True
    return made


def sentences() -> tuple[Any, Any, Any]:
    """Emissions (3, 4, 3), tags and mask (3, 4)."""
    generator = np.random.default_rng(1)
    mask = np.array([[int(t < length) for t in range(4)] for length in LENGTHS])
    tags = generator.integers(0, LABELS, (3, 4)) * mask
    emissions = generator.normal(size=(3, 4, LABELS))
    return paddle.to_tensor(emissions), paddle.to_tensor(tags), paddle.to_tensor(mask)


def scores(crf: CRF, emissions: Any, length: int) -> dict[tuple[int, ...], float]:
    start, end, moves = (
        p.numpy() for p in (crf.start_transitions, crf.end_transitions, crf.transitions)
    )
    return {
        labels: start[labels[0]]
        + end[labels[-1]]
        + sum(emissions[t, label] for t, label in enumerate(labels))
        + sum(moves[a, b] for a, b in pairwise(labels))
        for labels in product(range(LABELS), repeat=length)
    }


def test_the_likelihood_is_that_of_all_sequences_enumerated():
    crf, (emissions, tags, mask) = filled(), sentences()
    found = crf(emissions, tags, mask).numpy()
    for row, length in enumerate(LENGTHS):
        every = scores(crf, emissions[row].numpy(), length)
        own = every[tuple(tags[row, :length].tolist())]
        total = np.logaddexp.reduce(list(every.values()))
        assert found[row] == pytest.approx(total - own, abs=1e-12)


def test_decoding_finds_the_best_sequence():
    crf, (emissions, _, mask) = filled(), sentences()
    found = crf.decode(emissions, mask)
    for row, length in enumerate(LENGTHS):
        every = scores(crf, emissions[row].numpy(), length)
        assert tuple(found[row, :length].tolist()) == max(every, key=lambda one: every[one])


def test_decoding_writes_zero_at_padding():
    crf, (emissions, _, mask) = filled(), sentences()
    found = crf.decode(emissions, mask)
    assert str(found.dtype) == "paddle.int64"
    assert not found.numpy()[mask.numpy() == 0].any()


def test_what_stands_at_padding_changes_nothing():
    crf, (emissions, tags, mask) = filled(), sentences()
    padding = mask == 0
    changed = paddle.where(padding.unsqueeze(2), paddle.full_like(emissions, 1e3), emissions)
    other = paddle.where(padding, paddle.full_like(tags, 2), tags)
    assert np.array_equal(crf(emissions, tags, mask), crf(changed, other, mask))
    assert np.array_equal(crf.decode(emissions, mask), crf.decode(changed, mask))


def test_large_scores_do_not_overflow_in_float32():
    crf = filled("float32", bound=0.0)
    emissions = paddle.full([1, 5, LABELS], 1e4)
    tags, mask = paddle.zeros([1, 5], dtype="int64"), paddle.ones([1, 5], dtype="int64")
    assert crf(emissions, tags, mask).item() == pytest.approx(5 * np.log(LABELS), rel=1e-2)


def test_one_position_has_no_transition():
    crf, (emissions, tags, mask) = filled(), sentences()
    short = crf(emissions[:, :1], tags[:, :1], mask[:, :1])
    ends = (crf.start_transitions + crf.end_transitions).numpy() + emissions[:, 0].numpy()
    own = ends[np.arange(3), tags[:, 0].numpy()]
    assert short.numpy() == pytest.approx(np.logaddexp.reduce(ends, axis=1) - own, abs=1e-12)


def test_marginals_are_those_of_all_sequences():
    crf, (emissions, _, mask) = filled(), sentences()
    found = crf.marginals(emissions, mask).numpy()
    for row, length in enumerate(LENGTHS):
        every = scores(crf, emissions[row].numpy(), length)
        weights = {labels: np.exp(value) for labels, value in every.items()}
        for place, label in product(range(length), range(LABELS)):
            share = sum(w for labels, w in weights.items() if labels[place] == label)
            expected = share / sum(weights.values())
            assert found[row, place, label] == pytest.approx(expected, rel=1e-12)


def test_marginals_of_long_sentences_keep_the_digits_of_float32():
    emissions = 20 * np.random.default_rng(2).random((4, 50, LABELS))
    emissions[..., 1] = emissions[..., 0]  # two labels alike: what float32 loses would show
    exact, rounded = (
        filled(dtype)
        .marginals(paddle.to_tensor(emissions.astype(dtype)), paddle.ones([4, 50]))
        .numpy()
        for dtype in ("float64", "float32")
    )
    assert np.abs(rounded - exact).max() < 2e-6
