"""The reference's CRF against all label sequences, one by one."""

import math
from itertools import pairwise, product

import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")

from jointbert.in_torch.crf import CRF  # noqa: E402

LABELS, LENGTHS = 3, (4, 1, 3)


@pytest.fixture
def crf() -> CRF:
    torch.manual_seed(0)
    made = CRF(LABELS).double()
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -2, 2)
    return made.requires_grad_(False)


@pytest.fixture
def sentences():
    """Emissions (3, 4, 3), tags and mask (3, 4)."""
    torch.manual_seed(1)
    mask = torch.tensor([[int(t < length) for t in range(4)] for length in LENGTHS])
    tags = torch.randint(0, LABELS, (3, 4)) * mask
    return torch.randn(3, 4, LABELS, dtype=torch.float64), tags, mask


def score(crf: CRF, emissions, labels) -> float:
    total = crf.start_transitions[labels[0]] + crf.end_transitions[labels[-1]]
    total = total + sum(emissions[t, label] for t, label in enumerate(labels))
    return float(total + sum(crf.transitions[a, b] for a, b in pairwise(labels)))


def scores(crf: CRF, emissions, length: int) -> dict[tuple[int, ...], float]:
    every = product(range(LABELS), repeat=length)
    return {labels: score(crf, emissions, labels) for labels in every}


def test_the_likelihood_is_that_of_all_sequences_enumerated(crf: CRF, sentences):
    emissions, tags, mask = sentences
    found = crf(emissions, tags, mask)
    for row, length in enumerate(LENGTHS):
        every = scores(crf, emissions[row], length)
        total = torch.logsumexp(torch.tensor(list(every.values()), dtype=torch.float64), 0)
        own = every[tuple(tags[row, :length].tolist())]
        assert float(found[row]) == pytest.approx(float(total) - own, abs=1e-12)


def test_decoding_finds_the_best_sequence(crf: CRF, sentences):
    emissions, _, mask = sentences
    found = crf.decode(emissions, mask)
    for row, length in enumerate(LENGTHS):
        every = scores(crf, emissions[row], length)
        assert tuple(found[row, :length].tolist()) == max(every, key=lambda one: every[one])


def test_decoding_writes_zero_at_padding(crf: CRF, sentences):
    emissions, _, mask = sentences
    found = crf.decode(emissions, mask)
    assert not found[mask == 0].any()


def test_what_stands_at_padding_changes_nothing(crf: CRF, sentences):
    emissions, tags, mask = sentences
    padding = mask == 0
    changed, other = emissions.clone(), tags.clone()
    changed[padding], other[padding] = 1e3, 2
    assert torch.equal(crf(emissions, tags, mask), crf(changed, other, mask))
    assert torch.equal(crf.decode(emissions, mask), crf.decode(changed, mask))


def test_large_scores_do_not_overflow_in_float32():
    crf = CRF(LABELS)
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    emissions = torch.full((1, 5, LABELS), 1e4)
    tags, mask = torch.zeros(1, 5, dtype=torch.int64), torch.ones(1, 5, dtype=torch.int64)
    expected = 5 * torch.log(torch.tensor(float(LABELS)))
    torch.testing.assert_close(crf(emissions, tags, mask)[0], expected, rtol=1e-2, atol=0)


def test_marginals_are_those_of_all_sequences(crf: CRF, sentences):
    emissions, _, mask = sentences
    found = crf.marginals(emissions, mask)
    for row, length in enumerate(LENGTHS):
        weights = {k: math.exp(v) for k, v in scores(crf, emissions[row], length).items()}
        for place, label in product(range(length), range(LABELS)):
            share = sum(w for labels, w in weights.items() if labels[place] == label)
            expected = share / sum(weights.values())
            assert float(found[row, place, label]) == pytest.approx(expected, rel=1e-12)


def test_marginals_of_long_sentences_keep_the_digits_of_float32(crf: CRF):
    torch.manual_seed(2)
    emissions, mask = 20 * torch.rand(4, 50, LABELS, dtype=torch.float64), torch.ones(4, 50)
    emissions[..., 1] = emissions[..., 0]  # two labels alike: what float32 loses would show
    exact = crf.marginals(emissions, mask)
    rounded = crf.float().marginals(emissions.float(), mask)
    assert float((rounded - exact).abs().max()) < 2e-6
