"""Label sets: made from the training split, or read from files that must be sound."""

from pathlib import Path

import pytest

from jointbert.labels import Labels, read_labels, read_lines
from modelparity.errors import InputError


def test_sets_are_made_from_the_training_split_in_sorted_order(task: Path):
    assert read_labels(task) == Labels(
        intents=("UNK", "go", "play", "stop"),
        slots=("PAD", "UNK", "B-artist", "B-city", "I-city", "O"),
    )


def test_labels_of_other_splits_do_not_enter_a_made_set(task: Path):
    (task / "test" / "label").write_text("stop\nplay\nsing\n")
    assert "sing" not in read_labels(task).intents


def test_a_label_file_decides_the_order_of_ids(task: Path):
    (task / "intent_label.txt").write_text("UNK\nstop\nplay\ngo\n")
    (task / "slot_label.txt").write_text("PAD\nUNK\nO\nB-city\nI-city\nB-artist\n")
    labels = read_labels(task)
    assert labels.intents == ("UNK", "stop", "play", "go")
    assert labels.slots[2:] == ("O", "B-city", "I-city", "B-artist")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("intent_label.txt", "UNK\nstop\n\nplay\n", r"intent_label\.txt:3: empty label"),
        ("intent_label.txt", "UNK\nstop\nstop\n", r"intent_label\.txt:3: 'stop' is listed twice"),
        ("intent_label.txt", "stop\nplay\n", r"intent_label\.txt: UNK is missing"),
        ("slot_label.txt", "UNK\nPAD\nO\n", r"slot_label\.txt:1: the first label must be PAD"),
        ("slot_label.txt", "PAD\nO\n", r"slot_label\.txt: UNK is missing"),
    ],
)
def test_an_unsound_label_file_is_refused_with_its_place(
    task: Path, file: str, text: str, message: str
):
    (task / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels(task)


def test_only_newlines_end_a_line(tmp_path: Path):
    path = tmp_path / "lines"
    path.write_text("a\u2028b\x0bc\nd", encoding="utf-8", newline="")
    assert read_lines(path) == ["a\u2028b\x0bc", "d"]


def test_a_byte_order_mark_does_not_become_part_of_a_label(tmp_path: Path):
    path = tmp_path / "lines"
    path.write_text("\ufeffplay\n", encoding="utf-8")
    with pytest.raises(InputError, match="lines:1: begins with a byte order mark"):
        read_lines(path)


def test_bytes_that_are_no_text_are_refused_with_their_offset(tmp_path: Path):
    path = tmp_path / "lines"
    path.write_bytes(b"ab\xff\n")
    with pytest.raises(InputError, match="byte 2 is not UTF-8"):
        read_lines(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(InputError, match=r"seq\.in: no such file"):
        read_lines(tmp_path / "seq.in")


def test_real_label_files_are_read_in_their_order(shared: Path):
    labels = read_labels(shared / "data" / "atis")
    assert (len(labels.intents), len(labels.slots)) == (22, 122)
    assert labels.intents[0] == "UNK"
    assert labels.slots[:2] == ("PAD", "UNK")
