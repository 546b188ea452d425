"""The port's data: what becomes of a sentence, and how batches are cut and ordered."""

import json
import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle

paddle = import_paddle()

from jointbert.in_paddle.data import (  # noqa: E402
    encode,
    evaluation_batches,
    evaluation_order,
    sample_batches,
    training_batches,
    training_order,
)
from jointbert.labels import read_labels  # noqa: E402

Prepare = Callable[..., dict[str, Any]]


def example(settings: dict[str, Any], split: str, text: str) -> Any:
    return next(one for one in encode(settings, split) if " ".join(one.words) == text)


def spelled(settings: dict[str, Any], one: Any) -> list[str]:
    known = (Path(settings["checkpoint"]) / "vocab.txt").read_text("utf-8").split("\n")
    return [known[index] for index in one.ids]


@pytest.fixture
def sentence(prepared: Prepare, task: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The pieces of a training sentence under a tokenizer_config.json."""
    counter = iter(range(100))

    def pieces(text: str, config: dict[str, Any] | None) -> list[str]:
        directory = tmp_path / f"model{next(counter)}"
        directory.mkdir()
        own = Path(prepared()["checkpoint"])
        shutil.copy(own / "vocab.txt", directory)
        if config is not None:
            (directory / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
        (task / "train" / "seq.in").write_text(f"{text}\nstop\nstop\n", encoding="utf-8")
        labels = " ".join("O" for _ in text.split())
        (task / "train" / "seq.out").write_text(f"{labels}\nO\nO\n", encoding="utf-8")
        settings = {**prepared(data=str(task)), "checkpoint": str(directory)}
        return spelled(settings, encode(settings, "train")[0])[1:-1]

    return pieces


def test_a_sentence_stands_between_cls_and_sep(prepared: Prepare, task: Path):
    settings = prepared(data=str(task))
    assert spelled(settings, example(settings, "train", "stop"))[::2] == ["[CLS]", "[SEP]"]


def test_upper_case_and_accents_are_folded_unless_the_tokenizer_says_otherwise(sentence: Any):
    def joined(config: dict[str, Any] | None) -> str:
        return "".join(piece.removeprefix("##") for piece in sentence("Björk", config))

    assert joined({"do_lower_case": True}) == "bjork"
    assert joined(None) == "bjork"
    assert joined({"do_lower_case": True, "strip_accents": False}) == "björk"
    assert joined({"do_lower_case": False}) == "Björk"


def test_punctuation_inside_a_word_makes_pieces_of_their_own(sentence: Any):
    pieces = sentence("o'clock", None)
    assert pieces[:2] == ["o", "'"]
    assert not pieces[2].startswith("##")


def test_special_pieces_written_in_the_text_are_kept_whole(sentence: Any):
    assert sentence("stop [SEP]", None)[-1] == "[SEP]"


def test_a_word_of_more_than_a_hundred_letters_is_unknown(sentence: Any):
    assert sentence("a" * 101, None) == ["[UNK]"]
    assert len(sentence("a" * 100, None)) > 1


def test_a_word_without_pieces_becomes_one_unknown_piece(prepared: Prepare):
    settings = prepared()
    one = example(settings, "test", "cancel \u00ad")
    assert spelled(settings, one)[-2:] == ["[UNK]", "[SEP]"]
    assert read_labels(settings["data"]).slots[one.slots[-2]] == "O"


def test_only_the_first_piece_of_a_word_carries_its_label(prepared: Prepare, task: Path):
    settings = prepared(data=str(task))
    one = example(settings, "train", "play Björk")
    slots = read_labels(settings["data"]).slots
    names = [slots[index] for index in one.slots]
    assert names == ["PAD", "O", "B-artist", *["PAD"] * (len(one.ids) - 3)]


def test_ignore_index_marks_what_carries_no_label(prepared: Prepare, task: Path):
    settings = prepared(data=str(task), ignore_index=-100)
    (batch,) = evaluation_batches(settings, "dev")
    labelled = batch["slot_labels_ids"] != -100
    assert labelled.sum() == sum(len(one.words) for one in encode(settings, "dev"))


def test_an_unknown_label_becomes_unk(prepared: Prepare):
    settings = prepared()
    one = example(settings, "test", "take me to gate B twelve")
    slots = read_labels(settings["data"]).slots
    assert [slots[i] for i in one.slots if i][3:] == ["UNK", "UNK", "UNK"]


def test_truncation_keeps_the_first_pieces_and_sep(prepared: Prepare):
    long, short = encode(prepared(), "dev"), encode(prepared(max_seq_len=12), "dev")
    assert max(len(one.ids) for one in short) == 12
    for a, b in zip(long, short, strict=True):
        assert b.ids[:-1] == a.ids[: len(b.ids) - 1]
        assert b.ids[-1] == a.ids[-1]
        assert len(b.slots) == len(b.ids)


def test_every_batch_has_the_five_fields_as_int64(prepared: Prepare):
    for batch in evaluation_batches(prepared(), "dev"):
        assert set(batch) == {
            "input_ids",
            "attention_mask",
            "token_type_ids",
            "intent_label_ids",
            "slot_labels_ids",
        }
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


def test_without_buckets_every_batch_is_as_wide_as_the_limit(prepared: Prepare):
    batches = training_batches(prepared(bucket=False), 0)
    assert {batch["input_ids"].shape[1] for batch in batches} == {50}


def test_the_batches_hold_the_examples_of_the_order(prepared: Prepare):
    settings = prepared()
    examples = encode(settings, "train")
    order = training_order(settings, examples, 0)
    for indices, batch in zip(order, training_batches(settings, 0), strict=True):
        assert batch["intent_label_ids"].tolist() == [examples[i].intent for i in indices]
        for row, index in enumerate(indices):
            kept = batch["attention_mask"][row] == 1
            assert tuple(batch["input_ids"][row, kept].tolist()) == examples[index].ids


def test_reading_batches_draws_nothing_from_paddle(prepared: Prepare):
    paddle.seed(3)
    first = paddle.rand([3]).numpy()
    paddle.seed(3)
    list(training_batches(prepared(), 0))
    assert np.array_equal(paddle.rand([3]).numpy(), first)


@pytest.mark.parametrize("limit", [12, 50])
def test_samples_are_small_and_hold_a_batch_of_one(prepared: Prepare, limit: int):
    batches = sample_batches(prepared(max_seq_len=limit))
    assert sum(batch["input_ids"].size for batch in batches) <= 100
    assert 1 in {len(batch["input_ids"]) for batch in batches}
