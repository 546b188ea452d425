"""Faults of step 2: the port reads the evaluation data otherwise."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jointbert.faults.planting import Override, patched, running
from jointbert.labels import read_labels
from modelparity import Fault

Batch = Mapping[str, Any]
Settings = Mapping[str, Any]
Batches = Callable[[Settings, str], Iterator[Batch]]


def _full_only(batches: Batches, settings: Settings, split: str) -> list[Batch]:
    full = settings["eval_batch_size"]
    return [one for one in batches(settings, split) if len(one["input_ids"]) == full]


def _tokenized(**changes: bool) -> Override:
    """Batches by a tokenizer whose tokenizer_config.json differs."""

    def wrapped(batches: Batches, settings: Settings, split: str) -> list[Batch]:
        own = Path(str(settings["checkpoint"]))
        with TemporaryDirectory() as name:
            shutil.copy(own / "vocab.txt", name)
            config = own / "tokenizer_config.json"
            values = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
            other = Path(name) / "tokenizer_config.json"
            other.write_text(json.dumps({**values, **changes}), encoding="utf-8")
            return list(batches({**settings, "checkpoint": name}, split))

    return running("evaluation_batches", wrapped)


def _cut_through(batches: Batches, settings: Settings, split: str) -> list[Batch]:
    from jointbert.in_paddle.data import encode

    limit = settings["max_seq_len"]

    def cut(settings: Settings, split: str) -> tuple[Any, ...]:
        longer = encode({**settings, "max_seq_len": limit + 1}, split)
        return tuple(replace(one, ids=one.ids[:limit], slots=one.slots[:limit]) for one in longer)

    with patched("data", encode=cut):
        return list(batches(settings, split))


def _unknown_last(batches: Batches, settings: Settings, split: str) -> Iterator[Batch]:
    intents = len(read_labels(settings["data"]).intents)
    for batch in batches(settings, split):
        yield {**batch, "intent_label_ids": (batch["intent_label_ids"] - 1) % intents}


FAULTS = (
    Fault(
        "evaluation-drops-last-batch",
        2,
        "dev/2",
        "the last, smaller batch of a split is dropped",
        running("evaluation_batches", _full_only),
    ),
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
        "truncation-loses-sep",
        2,
        "test/2/input_ids",
        "sentences are cut at max_seq_len with their [SEP]",
        running("evaluation_batches", _cut_through),
    ),
    Fault(
        "label-order",
        2,
        "intent_label_ids",
        "the intent for unknown labels is counted last, not first",
        running("evaluation_batches", _unknown_last),
    ),
)
