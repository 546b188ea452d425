# mypy: allow-subclassing-any
"""Sentences to batches: read, tokenize, cut, sort into buckets and pad.

A batch is a dictionary of int64 arrays: `input_ids`, `attention_mask`, `token_type_ids` and
`slot_labels_ids` (examples, positions), `intent_label_ids` (examples,).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import BertTokenizerLegacy

from jointbert.labels import UNKNOWN, Labels, read_labels

Batch = dict[str, np.ndarray[Any, Any]]
Settings = Mapping[str, Any]

# How many batches of sentences are sorted by length together: enough to bring equal lengths
# together, few enough that an epoch's order stays random.
POOL = 256
TRUNCATION_SHOWN = 16  # sample_batches() truncates sentences where the limit is at most this


@dataclass(frozen=True)
class Example:
    """One sentence as ids, [CLS] and [SEP] included.

    slots   the label id at each word's first piece, `ignore_index` elsewhere
    pieces  the length before truncation
    """

    words: tuple[str, ...]
    ids: tuple[int, ...]
    slots: tuple[int, ...]
    intent: int
    pieces: int


class Sentences(Dataset[Example]):
    """A split, encoded; in the order of its files."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


class Order(Sampler[list[int]]):
    """Batches of indices, fixed beforehand."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def label_sets(settings: Settings) -> Labels:
    """The labels by id: of the directory in `labels` where it is given, else of `data`."""
    return read_labels(settings.get("labels") or settings["data"])


def encode(settings: Settings, split: str) -> tuple[Example, ...]:
    """Every sentence of a split, in the order of the file.

    Kept in memory per split and settings: files that change meanwhile are not read again.
    """
    return _encode(
        str(settings["data"]),
        str(settings.get("labels") or settings["data"]),
        str(settings["checkpoint"]),
        split,
        int(settings["max_seq_len"]),
        int(settings["ignore_index"]),
    )


def training_order(settings: Settings, examples: Sequence[Example], epoch: int) -> list[list[int]]:
    """The batches of an epoch as indices: shuffled, then of like length together."""
    rng = np.random.default_rng([settings["seed"], epoch])
    order = [int(index) for index in rng.permutation(len(examples))]
    size = settings["batch_size"]
    if not settings["bucket"]:
        return _cut(order, size)
    batches: list[list[int]] = []
    for pool in _cut(order, POOL * size):
        batches += _cut(sorted(pool, key=lambda index: len(examples[index].ids)), size)
    return [batches[index] for index in rng.permutation(len(batches))]


def evaluation_order(settings: Settings, examples: Sequence[Example]) -> list[list[int]]:
    """The batches of a split as indices: by length, or as in the file without buckets."""
    order = list(range(len(examples)))
    if settings["bucket"]:
        order.sort(key=lambda index: len(examples[index].ids))
    return _cut(order, settings["eval_batch_size"])


def training_batches(settings: Settings, epoch: int) -> Iterator[Batch]:
    """Every batch of the training split in the order of this epoch, the last one too."""
    examples = encode(settings, "train")
    return _load(settings, examples, training_order(settings, examples, epoch))


def evaluation_batches(settings: Settings, split: str) -> Iterator[Batch]:
    """Every batch of a split, the last one too."""
    examples = encode(settings, split)
    return _load(settings, examples, evaluation_order(settings, examples))


def sample_batches(settings: Settings) -> list[Batch]:
    """Small batches of dev and test sentences that hold what is hard for a model.

    Four sentences of unequal length, one word and non-ASCII text among them; one sentence alone;
    and, where `max_seq_len` is at most 16, two truncated ones.
    """
    examples = encode(settings, "dev") + encode(settings, "test")
    by_length = sorted(range(len(examples)), key=lambda index: examples[index].pieces)
    uneven = [by_length[0]]
    odd = [i for i in by_length if not " ".join(examples[i].words).isascii()]
    wanted = [(odd or by_length, 8), (by_length, 6), (by_length, 11)]
    for candidates, length in wanted:
        left = [i for i in candidates if i not in uneven] or candidates
        uneven.append(min(left, key=lambda i: abs(examples[i].pieces - length)))
    alone = min(by_length[::-1], key=lambda i: abs(examples[i].pieces - 9))
    groups = [uneven, [alone]]
    longer = [i for i in by_length if examples[i].pieces > settings["max_seq_len"]]
    if longer and settings["max_seq_len"] <= TRUNCATION_SHOWN:
        groups.append([longer[0], longer[-1]])
    return list(_load({**settings, "bucket": True}, examples, groups))


def vocabularies(settings: Settings) -> dict[str, list[str]]:
    """The words for the numbers in batches, by field."""
    tokenizer, labels = _tokenizer(str(settings["checkpoint"])), label_sets(settings)
    return {
        "input_ids": tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))),
        "intent_label_ids": list(labels.intents),
        "slot_labels_ids": list(labels.slots),
    }


def pieces_of(settings: Settings, words: Sequence[str]) -> list[tuple[int, ...]]:
    """The piece ids of each word, at least one."""
    checkpoint = str(settings["checkpoint"])
    return [_pieces(checkpoint, word) for word in words]


def inference_batch(settings: Settings, rows: Sequence[Sequence[int]]) -> Batch:
    """Sentences given by their piece ids, with [CLS] and [SEP] around them, padded."""
    tokenizer = _tokenizer(str(settings["checkpoint"]))
    examples = []
    for row in rows:
        ids = (tokenizer.cls_token_id, *row, tokenizer.sep_token_id)
        examples.append(Example((), ids, (0,) * len(ids), 0, len(ids)))
    width = 0 if settings["bucket"] else int(settings["max_seq_len"])
    batch = _pad(examples, max(width, *(len(e.ids) for e in examples)), tokenizer.pad_token_id, 0)
    return {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}


@lru_cache(maxsize=4)
def _tokenizer(checkpoint: str) -> BertTokenizerLegacy:
    # The one in plain Python: it shares no code with the library `tokenizers`, which ports use.
    return BertTokenizerLegacy.from_pretrained(checkpoint, local_files_only=True)


# Bounded: a parser may see ever new words.
@lru_cache(maxsize=1 << 16)
def _pieces(checkpoint: str, word: str) -> tuple[int, ...]:
    tokenizer = _tokenizer(checkpoint)
    ids = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))
    return tuple(ids) or (tokenizer.unk_token_id,)


@lru_cache(maxsize=8)
def _encode(
    data: str, labelled: str, checkpoint: str, split: str, max_seq_len: int, ignore_index: int
) -> tuple[Example, ...]:
    tokenizer = _tokenizer(checkpoint)
    labels = read_labels(labelled)
    intents = {label: index for index, label in enumerate(labels.intents)}
    slots = {label: index for index, label in enumerate(labels.slots)}
    examples = []
    for sentence, tags, intent in _read(Path(data) / split):
        ids: list[int] = []
        slot_ids: list[int] = []
        for word, tag in zip(sentence, tags, strict=True):
            pieces = _pieces(checkpoint, word)
            ids += pieces
            slot_ids += [slots.get(tag, slots[UNKNOWN])]
            slot_ids += [ignore_index] * (len(pieces) - 1)
        room = max_seq_len - 2
        examples.append(
            Example(
                words=tuple(sentence),
                ids=(tokenizer.cls_token_id, *ids[:room], tokenizer.sep_token_id),
                slots=(ignore_index, *slot_ids[:room], ignore_index),
                intent=intents.get(intent, intents[UNKNOWN]),
                pieces=len(ids) + 2,
            )
        )
    return tuple(examples)


def _read(directory: Path) -> Iterator[tuple[list[str], list[str], str]]:
    def lines(name: str) -> list[str]:
        with (directory / name).open(encoding="utf-8", newline="\n") as file:
            return [line.removesuffix("\n") for line in file]

    for words, slots, intent in zip(lines("seq.in"), lines("seq.out"), lines("label"), strict=True):
        yield words.split(), slots.split(), intent.strip()


def _cut(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _load(
    settings: Settings, examples: Sequence[Example], order: list[list[int]]
) -> Iterator[Batch]:
    width = 0 if settings["bucket"] else int(settings["max_seq_len"])
    ignored = int(settings["ignore_index"])
    padding = int(_tokenizer(str(settings["checkpoint"])).pad_token_id)

    def collate(chosen: list[Example]) -> Batch:
        return _pad(chosen, max(width, *(len(one.ids) for one in chosen)), padding, ignored)

    # A generator of its own: the loader would draw from the one that the dropout masks come from.
    loader: DataLoader[Example] = DataLoader(
        Sentences(examples),
        batch_sampler=Order(order),
        collate_fn=collate,
        generator=torch.Generator(),
    )
    return iter(loader)


def _pad(examples: Sequence[Example], length: int, padding: int, ignored: int) -> Batch:
    shape = (len(examples), length)
    ids, slots = np.full(shape, padding, np.int64), np.full(shape, ignored, np.int64)
    mask = np.zeros(shape, np.int64)
    for row, one in enumerate(examples):
        ids[row, : len(one.ids)] = one.ids
        slots[row, : len(one.ids)] = one.slots
        mask[row, : len(one.ids)] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": np.zeros(shape, np.int64),
        "intent_label_ids": np.array([one.intent for one in examples], np.int64),
        "slot_labels_ids": slots,
    }
