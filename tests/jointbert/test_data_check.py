"""`jointbert data check` finds every kind of fault and says where it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jointbert.cli import main
from jointbert.data_check import check, rendered
from jointbert.inputs import check_data
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


@pytest.mark.parametrize(
    ("label", "line"), [(["stop", "play"], 3), (["stop", "play", "go", "go", "go"], 4)]
)
def test_missing_and_surplus_lines_are_found(
    task: Callable[..., Path], label: list[str], line: int
):
    directory = task(label=label)
    assert found(directory, "length mismatch") == [("train/label", line, True)]


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


def test_a_sentence_of_two_splits_is_named_at_both_places(task: Callable[..., Path]):
    directory = task("dev", seq_in=["stop it", "play Sia", "go to  New York"])
    (one,) = [one for one in check(directory) if one.path.endswith("dev/seq.in")]
    assert f"{directory / 'train' / 'seq.in'}:3" in one.message


def test_every_finding_of_a_line_is_rendered_with_file_and_line(task: Callable[..., Path]):
    directory = task(
        "dev",
        seq_in=["stop it", "", "go to New York"],
        seq_out=["O", "O I-artist", "O O B-x I-city"],
        label=["stop", "", "go", "go"],
    )
    (directory / "slot_label.txt").write_text("PAD\nUNK\n\nO\nO\n")
    *lines, _ = rendered(check(directory), as_json=False).splitlines()
    kinds = ("length mismatch", "I- without B-", "unknown label", "empty line", "duplicate")
    for kind in (*kinds, "duplicate between splits"):
        assert any(f": {kind}: " in line for line in lines), kind
    for line in lines:
        path, number, _ = line.split(":", 2)
        assert Path(path).is_file(), line
        assert int(number) > 0, line


@pytest.mark.parametrize(
    ("file", "text", "finding"),
    [
        ("slot_label.txt", "UNK\nPAD\nO\n", ("slot_label.txt", 1, True)),
        ("intent_label.txt", "stop\nplay\ngo\n", ("intent_label.txt", 0, True)),
    ],
)
def test_label_files_that_training_refuses_are_found(
    task: Callable[..., Path], file: str, text: str, finding: tuple[str, int, bool]
):
    directory = task()
    (directory / file).write_text(text)
    assert finding in found(directory, "missing label")
    with pytest.raises(InputError):
        check_data(directory)


def test_a_byte_that_is_no_text_is_found_with_its_line(task: Callable[..., Path]):
    directory = task()
    (directory / "dev" / "label").write_bytes(b"stop\npl\xff\ngo\n")
    assert found(directory, "unreadable") == [("dev/label", 2, True)]


def test_a_file_that_is_not_there_is_found(task: Callable[..., Path]):
    directory = task()
    (directory / "dev" / "label").unlink()
    assert found(directory, "unreadable") == [("dev/label", 0, True)]


def exit_code(directory: Path) -> int:
    return main(["data", "check", str(directory)])


def test_notes_alone_are_no_failure(task: Callable[..., Path], capsys: pytest.CaptureFixture[str]):
    directory = task("dev", seq_in=["stop", "play Sia", "go to New York"])
    assert exit_code(directory) == 0
    assert "0 errors, 3 notes" in capsys.readouterr().out


def test_what_makes_training_wrong_is_exit_code_1(task: Callable[..., Path]):
    assert exit_code(task(label=["stop", "play"])) == 1


@pytest.mark.parametrize("spoiled", ["dev/label", "none"])
def test_what_cannot_be_read_is_exit_code_2(task: Callable[..., Path], spoiled: str):
    directory = task(label=["stop", "play"])
    if spoiled == "none":
        assert exit_code(directory / spoiled) == 2
    else:
        (directory / spoiled).write_bytes(b"\xff\n")
        assert exit_code(directory) == 2


def test_a_missing_split_is_found(task: Callable[..., Path]):
    directory = task()
    for file in (directory / "dev").iterdir():
        file.unlink()
    (directory / "dev").rmdir()
    assert found(directory, "missing") == [("dev", 0, True)]


def test_json_lines_are_checked_too(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "intent": "x"}\n{"text": 1}\n')
    assert ("train.jsonl", 2, True) in found(tmp_path, "wrong line")


def test_the_json_form_counts_the_errors(task: Callable[..., Path]):
    value = json.loads(rendered(check(task(label=["stop"])), as_json=True))
    assert value["errors"] == 1


def test_no_directory_is_one_clear_line(tmp_path: Path):
    with pytest.raises(InputError, match="no such directory"):
        check(tmp_path / "none")


def test_the_public_tasks_have_no_error(shared: Path):
    for name in ("atis", "snips"):
        assert [one for one in check(shared / "data" / name) if one.serious] == []


@pytest.mark.parametrize("tag", ["B-", "I-"])
def test_a_slot_label_without_a_type_is_found_and_refused(task: Callable[..., Path], tag: str):
    directory = task(seq_out=["O", f"O {tag}", "O O B-city I-city"])
    assert ("train/seq.out", 2, True) in found(directory, "unknown label")
    with pytest.raises(InputError, match=r"seq\.out:2: B- or I- without a type"):
        check_data(directory)


def test_what_follows_from_an_unreadable_file_is_not_listed(task: Callable[..., Path]):
    directory = task()
    (directory / "train" / "seq.in").write_bytes(b"\xff\n")
    assert found(directory, "unknown label") == []


def test_json_lines_without_a_line_are_found(tmp_path: Path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").touch()
    assert found(tmp_path, "empty") == [
        (f"{split}.jsonl", 0, True) for split in ("train", "dev", "test")
    ]
