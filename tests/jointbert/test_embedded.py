"""The embedded task: deterministic, and hard where ports go wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jointbert.embedded import (
    MARK,
    SIZES,
    VANISHING,
    sentences,
    vocabulary,
    write_model,
    write_task,
)
from jointbert.labels import read_labels
from modelparity.errors import InputError

MODEL = {"layers": 2, "hidden": 64, "heads": 4, "intermediate": 128, "max_seq_len": 50}


def pieces(word: str, known: frozenset[str] = frozenset(vocabulary())) -> int:
    """How many pieces WordPiece makes of a lower-case ASCII word; greedy, longest first."""
    count, start = 0, 0
    while start < len(word):
        prefix = "##" if start else ""
        start = next(e for e in range(len(word), start, -1) if prefix + word[start:e] in known)
        count += 1
    return count


def everything() -> list[tuple[tuple[str, ...], tuple[str, ...], str]]:
    return [one for split in SIZES for one in sentences(split)]


def test_two_calls_write_the_same_sentences():
    assert sentences("dev") == sentences("dev")


def test_the_splits_differ():
    assert len({tuple(sentences(split)[:50]) for split in SIZES}) == 3


@pytest.mark.parametrize(("split", "batch"), [("train", 32), ("dev", 64), ("test", 64)])
def test_the_last_batch_holds_one_example(split: str, batch: int):
    assert len(sentences(split)) % batch == 1


def test_every_word_has_one_label():
    assert all(len(words) == len(slots) > 0 for words, slots, _ in everything())


def test_every_inside_label_continues_an_entity_of_its_type():
    for _, slots, _ in everything():
        for before, slot in zip(("O", *slots), slots, strict=False):
            assert not slot.startswith("I-") or before[2:] == slot[2:]


def test_there_are_eight_intents_and_twenty_slot_types_or_more(tmp_path: Path):
    write_task(tmp_path)
    labels = read_labels(tmp_path)
    assert len(labels.intents) > 8
    assert len({slot[2:] for slot in labels.slots if slot.startswith("B-")}) >= 20


def test_the_test_split_holds_a_label_that_training_lacks():
    known = {slot for _, slots, _ in sentences("train") for slot in slots}
    assert {slot for _, slots, _ in sentences("test") for slot in slots} - known


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_sentence_has_more_than_fifty_pieces(split: str):
    longest = max(sentences(split), key=lambda one: len(one[0]))[0]
    assert len(longest) > 50


@pytest.mark.parametrize("split", list(SIZES))
def test_each_split_has_one_word_sentences_foreign_letters_and_upper_case(split: str):
    found = [words for words, _, _ in sentences(split)]
    assert any(len(words) == 1 for words in found)
    assert any(not "".join(words).isascii() for words in found)
    assert any("".join(words).lower() != "".join(words) for words in found)


def test_a_word_that_tokenizes_to_nothing_occurs_in_training_and_test():
    for split in ("train", "test"):
        assert any(VANISHING in words for words, _, _ in sentences(split))


def test_the_vocabulary_begins_with_the_special_pieces_and_repeats_none():
    known = vocabulary()
    assert known[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(known) == len(set(known)) <= 1500


def test_any_ascii_character_is_a_piece_at_the_start_and_inside_of_words():
    known = set(vocabulary())
    printable = {chr(code) for code in range(33, 127)}
    assert printable | {f"##{character}" for character in printable} <= known


def test_some_words_are_whole_and_some_fall_into_pieces():
    assert pieces("flight") == 1
    assert pieces("okafor") > 2


def test_the_model_directory_holds_no_weights(tmp_path: Path):
    write_model(tmp_path, MODEL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        MARK,
        "config.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]


def test_writing_again_changes_no_byte(tmp_path: Path):
    def written() -> dict[str, bytes]:
        write_task(tmp_path)
        write_model(tmp_path, MODEL)
        return {str(p): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    assert written() == written()


@pytest.mark.parametrize("write", [write_task, lambda directory: write_model(directory, MODEL)])
def test_files_of_others_are_never_overwritten(tmp_path: Path, write: Callable[[Path], None]):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(InputError, match="holds files of others"):
        write(tmp_path)
    assert (tmp_path / "config.json").read_text() == "mine"
