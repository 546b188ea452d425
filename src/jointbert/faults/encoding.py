"""Faults of step 2 within the encoding of sentences."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jointbert.faults.planting import Override, composed, patched, running
from modelparity import Fault

Batch = Mapping[str, Any]
Settings = Mapping[str, Any]
Batches = Callable[[Settings, str], Iterator[Batch]]

CONFIG = "tokenizer_config.json"


@contextmanager
def _checkpoint(settings: Settings, change: Callable[[Path], None]) -> Iterator[Settings]:
    """The settings with a copy of the checkpoint's tokenizer that was changed."""
    with TemporaryDirectory() as name:
        for file in ("vocab.txt", CONFIG):
            if (Path(settings["checkpoint"]) / file).exists():
                shutil.copy(Path(settings["checkpoint"]) / file, name)
        change(Path(name))
        yield {**settings, "checkpoint": name}


def _tokenized(**changes: bool) -> Override:
    """Batches by a tokenizer whose tokenizer_config.json differs."""

    def change(directory: Path) -> None:
        file = directory / CONFIG
        values = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps({**values, **changes}), encoding="utf-8")

    def wrapped(batches: Batches, settings: Settings, split: str) -> list[Batch]:
        with _checkpoint(settings, change) as changed:
            return list(batches(changed, split))

    return running("evaluation_batches", wrapped)


def _mistaken_encoding(directory: Path) -> None:
    file = directory / "vocab.txt"
    pieces = file.read_text(encoding="utf-8").split("\n")
    garbled = [piece.encode("utf-8").decode("latin-1") for piece in pieces]
    file.write_bytes("\n".join(garbled).encode("utf-8"))


def _garbled(function: Callable[..., Any], settings: Settings, *rest: Any) -> Any:
    with _checkpoint(settings, _mistaken_encoding) as changed:
        result = function(changed, *rest)
        # An iterator would do its work after the directory is gone.
        return list(result) if isinstance(result, Iterator) else result


def _cut_through(batches: Batches, settings: Settings, split: str) -> list[Batch]:
    from jointbert.in_paddle.data import encode

    limit = settings["max_seq_len"]

    def cut(settings: Settings, split: str) -> tuple[Any, ...]:
        longer = encode({**settings, "max_seq_len": limit + 1}, split)
        return tuple(replace(one, ids=one.ids[:limit], slots=one.slots[:limit]) for one in longer)

    with patched("data", encode=cut):
        return list(batches(settings, split))


def _encoded(change: Callable[[Settings, Any], Any]) -> Override:
    """Batches of sentences each of which was changed behind the encoding."""

    def wrapped(batches: Batches, settings: Settings, split: str) -> list[Batch]:
        from jointbert.in_paddle.data import encode

        def changed(settings: Settings, split: str) -> tuple[Any, ...]:
            return tuple(change(settings, one) for one in encode(settings, split))

        with patched("data", encode=changed):
            return list(batches(settings, split))

    return running("evaluation_batches", wrapped)


def _on_every_piece(settings: Settings, example: Any) -> Any:
    from jointbert.in_paddle.data import pieces_of

    spread, last, first = list(example.slots), len(example.slots) - 1, 1
    for pieces in pieces_of(settings, example.words):
        behind = first + len(pieces)
        for place in range(first, min(behind, last)):
            spread[place] = example.slots[first]
        first = behind
    return replace(example, slots=tuple(spread))


def _without_nameless(settings: Settings, example: Any) -> Any:
    from jointbert.in_paddle.data import pieces_of

    unknown = pieces_of(settings, [""])[0][0]
    known = [place for place, piece in enumerate(example.ids) if piece != unknown]
    ids, slots = ([column[i] for i in known] for column in (example.ids, example.slots))
    return replace(example, ids=tuple(ids), slots=tuple(slots))


FAULTS = (
    Fault(
        "case-kept",
        2,
        "dev/0",
        "text is not put into lower case, nor freed of accents",
        _tokenized(do_lower_case=False),
    ),
    Fault(
        "accents-kept",
        2,
        "dev/0",
        "text is not freed of accents",
        _tokenized(strip_accents=False),
    ),
    Fault(
        "vocabulary-garbled",
        2,
        "input_ids",
        "vocab.txt was written as UTF-8 and read as Latin-1: pieces outside ASCII match nothing",
        composed(
            *(
                running(name, _garbled)
                for name in ("vocabularies", "evaluation_batches", "training_batches")
            )
        ),
    ),
    Fault(
        "truncation-loses-sep",
        2,
        "test/2/input_ids",
        "sentences are cut at max_seq_len with their [SEP]",
        running("evaluation_batches", _cut_through),
    ),
    Fault(
        "labels-on-every-piece",
        2,
        "slot_labels_ids",
        "every piece of a word carries its label, not the first alone",
        _encoded(_on_every_piece),
    ),
    Fault(
        "nameless-words-dropped",
        2,
        "test/0",
        "one sentence: a word that no piece is left of is dropped with its label",
        _encoded(_without_nameless),
    ),
)
