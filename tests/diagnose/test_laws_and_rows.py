"""What initial values look like, and what happened to the rows of data."""

import numpy as np
import pytest

from modelparity.diagnose import batches, curves, laws, scores

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (RANDOM.normal(0.0, 0.02, 3000), "normal law of standard deviation 0.02 "),
        (RANDOM.uniform(-1 / 8, 1 / 8, 3000), "torch.nn.Linear's own uniform law"),
        (RANDOM.uniform(-np.sqrt(6 / 96), np.sqrt(6 / 96), 3000), "Xavier's uniform law"),
        (RANDOM.normal(0.0, np.sqrt(2 / 64), 3000), "Kaiming's normal law"),
        (RANDOM.uniform(-3.0, 3.0, 3000), "a uniform law up to 3"),
    ],
)
def test_the_law_of_initial_values_is_named(sample, said):
    assert said in laws.looks_like(sample, (32, 64))


def test_a_bias_may_be_drawn_by_its_own_size_or_by_its_weights_inputs():
    for width, said in ((64, "torch.nn.Linear's own uniform law"), (4, "Kaiming's uniform law")):
        bound = (1.0 if width == 64 else 6.0) / width
        sample = RANDOM.uniform(-np.sqrt(bound), np.sqrt(bound), 3000)
        assert said in laws.looks_like(sample, (4,), (4, 64))


def test_values_that_fit_no_law_are_not_named():
    assert laws.looks_like(RANDOM.standard_cauchy(3000), (32, 64)) == ""


def rows_of(sentences, size):
    found = []
    for start in range(0, len(sentences), size):
        part = sentences[start : start + size]
        length = max(map(len, part))
        ids = np.array([[*s, *[0] * (length - len(s))] for s in part])
        found.append({"ids": ids, "label": np.array([sum(s) % 3 for s in part])})
    return batches.rows(found)


SENTENCES = [RANDOM.integers(1, 50, RANDOM.integers(2, 9)).tolist() for _ in range(30)]
CUT = [sentence[:6] for sentence in SENTENCES]


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (rows_of(SENTENCES[:28], 8), "2 of 30 rows are missing, the last"),
        (rows_of(SENTENCES[::-1], 8), "the same 30 rows in reverse order"),
        (rows_of(SENTENCES, 10), "in batches of 10 in place of 8, 6"),
        (rows_of(sorted(SENTENCES, key=len), 8), "sorted by the length of ids"),
        (rows_of(CUT, 8), "they end early, at 6 in place of 8"),
        (rows_of(CUT[::-1], 8), "rows of ids are cut at 6 positions; the longest has 8"),
        (rows_of([[0, 0, *s] for s in SENTENCES], 8), "ids differs in 30 of 30 rows: they come 2"),
        (
            rows_of([*SENTENCES[:8], *SENTENCES[:8], *SENTENCES[16:]], 8),
            "batch 1 holds the rows of",
        ),
        (rows_of([*SENTENCES[:8], *SENTENCES[:8], *SENTENCES[16:]], 8), "8 of 30 rows are repeat"),
        (rows_of(sorted(SENTENCES, key=lambda s: sum(s) % 3), 8), "sorted by label"),
        (rows_of([*SENTENCES, *SENTENCES[:4]], 8), "there are 4 more rows, repeated ones"),
    ],
)
def test_what_happened_to_rows_is_named(candidate, said):
    found = [str(hint) for hint in batches.explain(candidate, rows_of(SENTENCES, 8))]
    assert any(said in hint for hint in found), found


def test_rows_that_are_padded_at_the_left_are_named():
    wrong = [{"ids": np.array([[0, 0, 5], [3, 4, 5]])}]
    right = [{"ids": np.array([[5, 0, 0], [3, 4, 5]])}, {"ids": np.array([[7, 2, 0], [3, 1, 5]])}]
    wrong += [{"ids": np.array([[0, 7, 2], [3, 1, 5]])}]
    [hint] = batches.explain(batches.rows(wrong), batches.rows(right))
    assert "padded at the left" in str(hint)


def test_batches_of_another_width_are_named():
    narrow = batches.rows([{"ids": np.array([[5, 6, 7]])}])
    wide = batches.rows([{"ids": np.array([[5, 6, 7, 0, 0]])}])
    [hint] = batches.explain(wide, narrow)
    assert str(hint).endswith("padded to a width of 5 in place of 3")


def test_equal_rows_have_no_hint():
    assert list(batches.explain(rows_of(SENTENCES, 8), rows_of(SENTENCES, 8))) == []


def test_labels_that_are_counted_singly_are_told_from_entities():
    words = ["O", "B-a", "I-a", "B-b"]
    gold = RANDOM.integers(0, 4, 200)
    predicted = np.where(RANDOM.random(200) < 0.2, RANDOM.integers(0, 4, 200), gold)
    found = {text: float(value) for text, value in scores.of_decisions(predicted, gold, words)}
    assert found["it is the F1 of whole entities"] < found["it is the F1 of single labels"]


def test_a_curve_says_where_and_how_it_parts():
    losses = np.linspace(2.0, 1.0, 40)
    later = losses + 1e-3 * (np.arange(40) >= 26)
    [hint] = curves.explain(later, losses)
    assert "updates 0 to 25 agree" in str(hint)
    assert "that of update 26 differs" in str(hint)
    [hint] = curves.explain(losses * 1.1, losses)
    assert "before any update" in str(hint)
    assert list(curves.explain(losses, losses)) == []


@pytest.mark.parametrize(
    ("kept", "said"),
    [(slice(199), "the first 199 of 200"), (slice(192), "the first 192 of 200")],
)
def test_examples_that_are_left_out_of_a_score_are_counted(kept, said):
    gold = RANDOM.integers(0, 4, 200)
    predicted = np.where(RANDOM.random(200) < 0.2, RANDOM.integers(0, 4, 200), gold)
    found = {text: float(value) for text, value in scores.of_decisions(predicted, gold, [])}
    share = float((predicted == gold)[kept].mean())
    assert found[f"it is the share of right ones among {said}"] == share


def test_a_score_that_is_made_of_others_is_named():
    others = {"precision": np.array(0.5), "recall": np.array(0.8), "f1": np.array(0.65)}
    found = {text: float(value) for text, value in scores.of_scores("f1", others)}
    assert found["it is the mean of precision and recall"] == 0.65
    assert found["it is precision times recall"] == 0.4
