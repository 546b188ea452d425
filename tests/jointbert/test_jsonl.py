"""JSON Lines with character spans."""

import json
from pathlib import Path

import pytest

from jointbert.jsonl import as_task, rows_of
from modelparity.errors import InputError

GOOD = {
    "text": "play  Björk! 🎉",
    "intent": "play",
    "slots": [{"type": "artist", "start": 6, "end": 11, "text": "Björk"}],
}


def write(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def test_a_line_becomes_words_and_labels(tmp_path: Path):
    (row,) = rows_of(write(tmp_path / "a.jsonl", GOOD))
    assert (row.words, row.labels, row.intent) == (
        ("play", "Björk", "!", "🎉"),
        ("O", "B-artist", "O", "O"),
        "play",
    )


def test_a_task_is_written_in_the_other_layout(tmp_path: Path):
    for split in ("train", "dev"):
        write(tmp_path / f"{split}.jsonl", GOOD, {"text": "stop", "intent": "stop"})
    task = as_task(tmp_path, tmp_path / "out")
    assert (task / "dev" / "seq.in").read_text(encoding="utf-8") == "play Björk ! 🎉\nstop\n"
    assert (task / "dev" / "seq.out").read_text() == "O B-artist O O\nO\n"
    assert (task / "train" / "label").read_text() == "play\nstop\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        (json.dumps({"text": " ", "intent": "x"}), "text is empty"),
        (json.dumps({"text": "a", "intent": ""}), "intent is empty"),
        (json.dumps({"text": "a"}), "intent is None"),
        (json.dumps({**GOOD, "slots": [{"type": "x", "start": 3, "end": 99}]}), "no part of"),
        (json.dumps({**GOOD, "slots": [{"type": "x", "start": 0, "end": 2}]}), "inside the word"),
        (json.dumps({**GOOD, "slots": [{"type": "x", "start": 4, "end": 6}]}), "white space"),
        (json.dumps({**GOOD, "slots": [{"type": "x y", "start": 0, "end": 4}]}), "has a space"),
        (
            json.dumps({**GOOD, "slots": [{"type": "x", "start": 0, "end": 4, "text": "pla"}]}),
            "its text is 'pla'",
        ),
        (
            json.dumps(
                {
                    **GOOD,
                    "slots": [
                        {"type": "x", "start": 0, "end": 11},
                        {"type": "y", "start": 6, "end": 11},
                    ],
                }
            ),
            "x and y overlap",
        ),
        ('{"text": "\\ud83d", "intent": "x"}', "surrogate"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path: Path, line: str, message: str):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"train\.jsonl:2: .*{message}"):
        as_task(tmp_path, tmp_path / "out")


def test_a_wrong_line_leaves_nothing_behind(tmp_path: Path):
    write(tmp_path / "train.jsonl", GOOD)
    (tmp_path / "test.jsonl").write_text("{\n")
    with pytest.raises(InputError, match=r"test\.jsonl:1"):
        as_task(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_split_without_a_line_is_refused(tmp_path: Path):
    write(tmp_path / "train.jsonl")
    with pytest.raises(InputError, match=r"train\.jsonl: no sentences"):
        as_task(tmp_path, tmp_path / "out")


def test_json_too_deep_to_read_is_a_wrong_line(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"train\.jsonl:1: not JSON"):
        as_task(tmp_path, tmp_path / "out")
