"""The reference's data: what becomes of a sentence, and how batches are cut and ordered."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")

from jointbert.in_torch.data import (  # noqa: E402
    encode,
    evaluation_batches,
    evaluation_order,
    sample_batches,
    training_batches,
    training_order,
)
from jointbert.labels import read_labels  # noqa: E402

Prepare = Callable[..., dict[str, Any]]
FIELDS = {
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "intent_label_ids",
    "slot_labels_ids",
}


def vocabulary(settings: dict[str, Any]) -> list[str]:
    return (Path(settings["checkpoint"]) / "vocab.txt").read_text("utf-8").split("\n")


def example(settings: dict[str, Any], split: str, text: str):
    return next(one for one in encode(settings, split) if " ".join(one.words) == text)


def spelled(settings: dict[str, Any], one) -> list[str]:
    known = vocabulary(settings)
    return [known[index] for index in one.ids]


@pytest.fixture
def small(prepared: Prepare, task: Path) -> dict[str, Any]:
    return prepared(data=str(task))


def test_a_sentence_stands_between_cls_and_sep(small: dict[str, Any]):
    assert spelled(small, example(small, "train", "stop"))[::2] == ["[CLS]", "[SEP]"]


def test_upper_case_and_accents_are_folded_and_a_word_may_have_pieces(small: dict[str, Any]):
    pieces = spelled(small, example(small, "train", "play Björk"))[2:-1]
    assert "".join(piece.removeprefix("##") for piece in pieces) == "bjork"
    assert len(pieces) > 1


def test_only_the_first_piece_of_a_word_carries_its_label(small: dict[str, Any]):
    one = example(small, "train", "play Björk")
    slots = read_labels(small["data"]).slots
    names = [slots[index] for index in one.slots]
    assert names == ["PAD", "O", "B-artist", *["PAD"] * (len(one.ids) - 3)]


def test_ignore_index_marks_what_carries_no_label(prepared: Prepare, task: Path):
    settings = prepared(data=str(task), ignore_index=-100)
    one = example(settings, "train", "stop")
    assert (one.slots[0], one.slots[-1]) == (-100, -100)


def test_a_word_without_pieces_becomes_one_unknown_piece(prepared: Prepare):
    settings = prepared()
    one = example(settings, "test", "cancel \u00ad")
    assert spelled(settings, one)[-2:] == ["[UNK]", "[SEP]"]
    assert read_labels(settings["data"]).slots[one.slots[-2]] == "O"


def test_an_unknown_label_becomes_unk(prepared: Prepare):
    settings = prepared()
    one = example(settings, "test", "take me to gate B twelve")
    slots = read_labels(settings["data"]).slots
    assert [slots[i] for i in one.slots if i][3:] == ["UNK", "UNK", "UNK"]


def test_truncation_keeps_the_first_pieces(prepared: Prepare):
    whole, cut = prepared(), prepared(max_seq_len=12)
    long, short = encode(whole, "dev"), encode(cut, "dev")
    assert max(len(one.ids) for one in short) == 12
    for a, b in zip(long, short, strict=True):
        assert b.ids[:-1] == a.ids[: len(b.ids) - 1]
        assert b.ids[-1] == a.ids[-1]
        assert len(b.slots) == len(b.ids)


def test_a_sentence_beyond_the_limit_is_cut_at_the_default_length(prepared: Prepare):
    for split in ("train", "test"):
        longest = max(encode(prepared(), split), key=lambda one: one.pieces)
        assert longest.pieces > 50 == len(longest.ids)


def test_every_batch_has_the_five_fields_as_int64(prepared: Prepare):
    for batch in evaluation_batches(prepared(), "dev"):
        assert set(batch) == FIELDS
        assert {array.dtype for array in batch.values()} == {np.dtype("int64")}


def test_padding_has_the_padding_piece_no_attention_and_no_label(prepared: Prepare):
    for batch in evaluation_batches(prepared(), "dev"):
        padding = batch["attention_mask"] == 0
        assert not batch["input_ids"][padding].any()
        assert not batch["slot_labels_ids"][padding].any()
        assert (np.diff(batch["attention_mask"], axis=1) <= 0).all()


@pytest.mark.parametrize("bucket", [True, False])
def test_evaluation_sees_every_example_once(prepared: Prepare, bucket: bool):
    settings = prepared(bucket=bucket)
    order = evaluation_order(settings, encode(settings, "test"))
    assert sorted(chain(*order)) == list(range(129))
    assert [len(indices) for indices in order] == [64, 64, 1]


@pytest.mark.parametrize("bucket", [True, False])
def test_an_epoch_sees_every_example_once(prepared: Prepare, bucket: bool):
    settings = prepared(bucket=bucket)
    order = training_order(settings, encode(settings, "train"), 0)
    assert sorted(chain(*order)) == list(range(545))
    assert sorted(len(indices) for indices in order) == [1, *[32] * 17]


def test_an_epoch_repeats_and_another_epoch_or_seed_differs(prepared: Prepare):
    examples = encode(prepared(), "train")
    first = training_order(prepared(), examples, 0)
    assert first == training_order(prepared(), examples, 0)
    assert first != training_order(prepared(), examples, 1)
    assert first != training_order(prepared(seed=5), examples, 0)


def test_the_order_is_the_documented_one(prepared: Prepare):
    settings = prepared(batch_size=2)  # 256 batches are sorted together: 512 sentences
    examples = encode(settings, "train")
    rng = np.random.default_rng([1234, 3])
    order = rng.permutation(545)
    cut = []
    for pool in (order[:512], order[512:]):
        lengths = np.array([len(examples[i].ids) for i in pool])
        pool = pool[np.argsort(lengths, kind="stable")]
        cut += [pool[start : start + 2].tolist() for start in range(0, len(pool), 2)]
    expected = [cut[i] for i in rng.permutation(273)]
    assert training_order(settings, examples, 3) == expected


def test_without_buckets_evaluation_keeps_the_order_of_the_file(prepared: Prepare):
    settings = prepared(bucket=False)
    order = evaluation_order(settings, encode(settings, "dev"))
    assert list(chain(*order)) == list(range(129))


def test_without_buckets_every_batch_is_as_wide_as_the_limit(prepared: Prepare):
    settings = prepared(bucket=False)
    widths = {batch["input_ids"].shape[1] for batch in training_batches(settings, 0)}
    assert widths == {50}


def test_buckets_pad_less_than_half_as_much(prepared: Prepare):
    def padding(**changes: Any) -> int:
        batches = training_batches(prepared(**changes), 0)
        return sum(int((batch["attention_mask"] == 0).sum()) for batch in batches)

    assert padding() < padding(bucket=False) / 2


def test_the_bucketed_batches_hold_their_examples(prepared: Prepare):
    settings = prepared()
    examples = encode(settings, "train")
    order = training_order(settings, examples, 0)
    for indices, batch in zip(order, training_batches(settings, 0), strict=True):
        assert batch["attention_mask"].sum(1).tolist() == [len(examples[i].ids) for i in indices]
        assert batch["intent_label_ids"].tolist() == [examples[i].intent for i in indices]


def test_reading_batches_draws_nothing_from_torch(prepared: Prepare):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(training_batches(prepared(), 0))
    assert torch.equal(before, torch.get_rng_state())


def test_samples_hold_one_word_unequal_lengths_and_a_batch_of_one(prepared: Prepare):
    uneven, alone = (batch["attention_mask"].sum(1) for batch in sample_batches(prepared()))
    assert len(alone) == 1
    assert min(uneven) == 3
    assert len(set(uneven.tolist())) == 4


def test_samples_hold_text_outside_ascii(prepared: Prepare):
    settings = prepared()
    rows = {
        tuple(ids[mask == 1].tolist())
        for batch in sample_batches(settings)
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    }
    examples = encode(settings, "dev") + encode(settings, "test")
    odd = {one.ids for one in examples if not "".join(one.words).isascii()}
    assert rows & odd


def test_samples_hold_truncated_sentences_where_the_limit_is_low(prepared: Prepare):
    settings = prepared(max_seq_len=12)
    truncated = {
        one.ids for one in encode(settings, "dev") + encode(settings, "test") if one.pieces > 12
    }
    last = sample_batches(settings)[-1]["input_ids"]
    assert {tuple(ids.tolist()) for ids in last} <= truncated


@pytest.mark.parametrize("limit", [12, 50])
def test_samples_are_small(prepared: Prepare, limit: int):
    batches = sample_batches(prepared(max_seq_len=limit))
    assert sum(batch["input_ids"].size for batch in batches) <= 100


@pytest.mark.parametrize(("name", "sizes"), [("atis", (500, 893)), ("snips", (700, 700))])
def test_real_data_is_read_whole(prepared: Prepare, shared: Path, name: str, sizes: Any):
    checkpoint = shared / "checkpoints" / "minilm-l6-h384-uncased"
    settings = prepared(data=str(shared / "data" / name), checkpoint=str(checkpoint))
    for split, size in zip(("dev", "test"), sizes, strict=True):
        batches = list(evaluation_batches(settings, split))
        assert sum(len(batch["input_ids"]) for batch in batches) == size
