"""The two sides' tokenizers, whose Unicode tables are of different years, split text alike."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from frameworks import import_paddle

pytest.importorskip("torch", reason="both frameworks are needed")
pytest.importorskip("transformers", reason="the reference's tokenizer")
import_paddle()

from jointbert.in_paddle import data as theirs  # noqa: E402
from jointbert.in_torch import data as ours  # noqa: E402

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "é", "##é", "e", "##e"]
# Punctuation or a mark by the older tables, but not by Python's: docs/jointbert.md.
KNOWN = {"\u166d", "\u1734", "\U000111c9"}


@pytest.fixture(params=[True, False], ids=["uncased", "cased"])
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), "utf-8")
    config = {"do_lower_case": request.param, "tokenizer_class": "BertTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return {"checkpoint": str(tmp_path)}


def both(settings: dict[str, Any], words: list[str]) -> list[list[list[int]]]:
    """The piece ids of each word, by the reference and by the port."""
    return [[list(p) for p in side.pieces_of(settings, words)] for side in (ours, theirs)]


def differing(settings: dict[str, Any], characters: list[str]) -> set[str]:
    """Characters that the sides treat differently between two letters.

    With this vocabulary one that is split off gives three pieces, one that stays makes the word
    unknown, one that is removed leaves the letters.
    """
    found = both(settings, [f"a{one}a" for one in characters])
    return {one for one, our, their in zip(characters, *found, strict=True) if our != their}


def assigned() -> list[str]:
    """Every character that may stand inside a word and whose meaning is not private."""
    every = map(chr, range(0x110000))
    return [c for c in every if unicodedata.category(c) not in ("Cn", "Co", "Cs") and c.split()]


@pytest.mark.slow
def test_every_character_is_split_alike(settings: dict[str, Any]):
    found = differing(settings, assigned())
    assert found <= KNOWN, sorted(f"U+{ord(c):04X}" for c in found - KNOWN)


NEW = "\u061d\u0898\u1b7d\u2e55\U0001fae8\U00010ead\U0002b820\u07fd"


def test_characters_newer_than_the_tables_are_split_alike(settings: dict[str, Any]):
    assert differing(settings, list(NEW)) == set()


def test_letters_and_their_accents_apart_are_one_letter(settings: dict[str, Any]):
    our, their = both(settings, ["e\u0301", "ae\u0301", "\u00e9", "a\u00e9"])
    assert our == their
    assert their[:2] == their[2:]


@pytest.mark.parametrize("word", ["\u00e9[SEP]a", "[MASK]\u2e55", "\u00e9[UNK]", "##\u00e9"])
def test_special_pieces_beside_other_letters_are_read_alike(settings: dict[str, Any], word: str):
    our, their = both(settings, [word])
    assert our == their


def test_the_libraries_themselves_differ(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(theirs, "by_own_tables", lambda word, *_: word)
    assert len(differing(settings, list(NEW))) > 3


def test_ideographs_that_are_no_tokens_of_their_own_are_read_alike(
    settings: dict[str, Any],
):
    path = Path(settings["checkpoint"]) / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "tokenize_chinese_chars": False}), encoding="utf-8")
    our, their = both(settings, ["a\U0002b820a", "a\u4e2da"])
    assert our == their
