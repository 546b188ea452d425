"""`jointbert data check` finds every kind of fault and says where it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jointbert.data_check import check, rendered
from modelparity.errors import InputError

GOOD = {
    "seq.in": ["stop", "play Björk", "go to New York"],
    "seq.out": ["O", "O B-artist", "O O B-city I-city"],
    "label": ["stop", "play", "go"],
}


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Path]:
    def write(split: str = "train", **changes: list[str]) -> Path:
        for number, name in enumerate(("train", "dev", "test")):
            (tmp_path / name).mkdir(exist_ok=True)
            for file, lines in GOOD.items():
                key = file.replace(".", "_")
                found = changes.get(key, lines) if name == split else lines
                if file == "seq.in" and number and name != split:
                    found = [line.replace("o", "0" * (number + 1), 1) for line in found]
                text = "".join(f"{line}\n" for line in found)
                (tmp_path / name / file).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def found(task: Path, kind: str) -> list[tuple[str, int, bool]]:
    return [
        (str(Path(one.path).relative_to(task)), one.line, one.serious)
        for one in check(task)
        if one.kind == kind
    ]


def test_a_clean_task_has_no_finding(task: Callable[..., Path]):
    # "go to New Y0rk" and the like differ between the splits
    assert [one for one in check(task()) if one.serious] == []


def test_fewer_lines_are_found(task: Callable[..., Path]):
    directory = task(label=["stop", "play"])
    assert found(directory, "length mismatch") == [("train/label", 0, True)]


def test_fewer_labels_than_words_are_found(task: Callable[..., Path]):
    directory = task(seq_out=["O", "O", "O O B-city I-city"])
    assert found(directory, "length mismatch") == [("train/seq.out", 2, True)]


@pytest.mark.parametrize("tags", ["O I-artist", "B-city I-artist"])
def test_i_without_b_is_found(task: Callable[..., Path], tags: str):
    directory = task(seq_out=["O", tags, "O O B-city I-city"])
    assert found(directory, "I- without B-") == [("train/seq.out", 2, True)]


def test_labels_that_training_lacks_are_found(task: Callable[..., Path]):
    directory = task(
        "test", seq_out=["O", "O B-song", "O O B-city I-city"], label=["x", "play", "go"]
    )
    assert found(directory, "unknown label") == [
        ("test/label", 1, False),
        ("test/seq.out", 2, False),
    ]


def test_labels_that_the_label_file_lacks_are_found(task: Callable[..., Path]):
    directory = task()
    (directory / "slot_label.txt").write_text("PAD\nUNK\nO\nB-artist\nB-city\n")
    assert ("train/seq.out", 3, True) in found(directory, "unknown label")


def test_empty_lines_are_found(task: Callable[..., Path]):
    directory = task(seq_in=["stop", " ", "go to New York"], label=["stop", "play", ""])
    assert found(directory, "empty line") == [("train/seq.in", 2, True), ("train/label", 3, True)]


def test_sentences_of_two_splits_are_found(task: Callable[..., Path]):
    directory = task("dev", seq_in=["stop it", "play Sia", "go to  New York"])
    assert found(directory, "duplicate between splits") == [
        ("dev/seq.in", 3, False),
        ("test/seq.in", 2, False),
    ]


def test_a_missing_split_is_found(task: Callable[..., Path]):
    directory = task()
    for file in (directory / "dev").iterdir():
        file.unlink()
    (directory / "dev").rmdir()
    assert found(directory, "missing") == [("dev", 0, True)]


def test_json_lines_are_checked_too(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "intent": "x"}\n{"text": 1}\n')
    assert ("train.jsonl", 2, True) in found(tmp_path, "unreadable")


def test_the_json_form_counts_the_errors(task: Callable[..., Path]):
    value = json.loads(rendered(check(task(label=["stop"])), as_json=True))
    assert value["errors"] == 1


def test_no_directory_is_one_clear_line(tmp_path: Path):
    with pytest.raises(InputError, match="no such directory"):
        check(tmp_path / "none")


def test_the_public_tasks_have_no_error(shared: Path):
    for name in ("atis", "snips"):
        assert [one for one in check(shared / "data" / name) if one.serious] == []
