# mypy: allow-subclassing-any
"""Sentences to batches: read, tokenize, cut, sort into buckets and pad.

A batch is a dictionary of int64 arrays: `input_ids`, `attention_mask`, `token_type_ids` and
`slot_labels_ids` (examples, positions), `intent_label_ids` (examples,).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from paddle.io import BatchSampler, Dataset
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from jointbert.in_paddle.characters import by_own_tables
from jointbert.labels import UNKNOWN, Labels, read_labels

Batch = dict[str, np.ndarray[Any, Any]]
Settings = Mapping[str, Any]

# How many batches of sentences are sorted by length together: enough to bring equal lengths
# together, few enough that an epoch's order stays random.
POOL = 256
LONGEST_WORD = 100  # longer words are unknown: BERT's WordPiece
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
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


class Sentences(Dataset):
    """A split, encoded; in the order of its files."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


class Order(BatchSampler):
    """Batches of indices, fixed beforehand."""

    def __init__(self, batches: list[list[int]]) -> None:
        super().__init__(sampler=[index for batch in batches for index in batch], batch_size=1)
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
    size, generator = settings["batch_size"], np.random.default_rng([settings["seed"], epoch])
    shuffled = generator.permutation(len(examples)).tolist()
    if not settings["bucket"]:
        return _cut(shuffled, size)
    lengths = np.array([len(example.ids) for example in examples])
    batches = []
    for pool in _cut(shuffled, POOL * size):
        by_length = np.argsort(lengths[pool], kind="stable")
        batches.extend(_cut([pool[place] for place in by_length], size))
    return [batches[place] for place in generator.permutation(len(batches))]


def evaluation_order(settings: Settings, examples: Sequence[Example]) -> list[list[int]]:
    """The batches of a split as indices: by length, or as in the file without buckets."""
    if not settings["bucket"]:
        return _cut(list(range(len(examples))), settings["eval_batch_size"])
    order = np.argsort([len(example.ids) for example in examples], kind="stable")
    return _cut(order.tolist(), settings["eval_batch_size"])


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
    pieces = _vocabulary(str(settings["checkpoint"])).tokenizer.get_vocab()
    labels = label_sets(settings)
    return {
        "input_ids": sorted(pieces, key=pieces.__getitem__),
        "intent_label_ids": list(labels.intents),
        "slot_labels_ids": list(labels.slots),
    }


def pieces_of(settings: Settings, words: Sequence[str]) -> list[list[int]]:
    """The piece ids of each word, at least one."""
    return _vocabulary(str(settings["checkpoint"])).pieces(words)


def inference_batch(settings: Settings, rows: Sequence[Sequence[int]]) -> Batch:
    """Sentences given by their piece ids, with [CLS] and [SEP] around them, padded."""
    vocabulary = _vocabulary(str(settings["checkpoint"]))
    examples = []
    for row in rows:
        ids = (vocabulary.cls, *row, vocabulary.sep)
        examples.append(Example((), ids, (0,) * len(ids), 0, len(ids)))
    width = 0 if settings["bucket"] else int(settings["max_seq_len"])
    batch = _pad(examples, max(width, *(len(one.ids) for one in examples)), vocabulary.pad, 0)
    return {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}


@dataclass(frozen=True)
class Vocabulary:
    """A checkpoint's pieces: the tokenizer and the ids of the special ones."""

    tokenizer: Tokenizer
    pad: int
    unknown: int
    cls: int
    sep: int
    without_accents: bool
    ideographs: bool  # each a token of its own

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The piece ids of each word, at least one."""
        cleaned = [by_own_tables(word, self.without_accents, self.ideographs) for word in words]
        encoded = self.tokenizer.encode_batch(cleaned, add_special_tokens=False)
        return [one.ids or [self.unknown] for one in encoded]


@lru_cache(maxsize=4)
def _vocabulary(checkpoint: str) -> Vocabulary:
    """WordPiece as BERT does it, from vocab.txt (a piece a line) and tokenizer_config.json."""
    text = (Path(checkpoint) / "vocab.txt").read_text(encoding="utf-8")
    ids = {piece: index for index, piece in enumerate(text.removesuffix("\n").split("\n"))}
    path = Path(checkpoint) / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    special = [config.get(f"{name}_token", token) for name, token in SPECIAL.items()]
    pad, unknown, cls, sep, _ = (_text(token) for token in special)
    tokenizer = Tokenizer(
        models.WordPiece(ids, unk_token=unknown, max_input_chars_per_word=LONGEST_WORD)
    )
    lowercase, accents = config.get("do_lower_case", True), config.get("strip_accents")
    ideographs = config.get("tokenize_chinese_chars", True)
    tokenizer.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=ideographs,
        strip_accents=accents,
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([_text(token) for token in special])
    without_accents = lowercase if accents is None else accents
    parts = ids[pad], ids[unknown], ids[cls], ids[sep]
    return Vocabulary(tokenizer, *parts, without_accents, ideographs)


def _text(token: str | Mapping[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]


@lru_cache(maxsize=8)
def _encode(
    data: str, labelled: str, checkpoint: str, split: str, max_seq_len: int, ignore_index: int
) -> tuple[Example, ...]:
    vocabulary, labels = _vocabulary(checkpoint), read_labels(labelled)
    intents = dict(zip(labels.intents, range(len(labels.intents)), strict=True))
    slots = dict(zip(labels.slots, range(len(labels.slots)), strict=True))
    rows = [
        (words.split(), tags.split(), intent.strip())
        for words, tags, intent in zip(*_columns(Path(data) / split), strict=True)
    ]
    distinct = sorted({word for words, _, _ in rows for word in words})
    pieces = dict(zip(distinct, vocabulary.pieces(distinct), strict=True))
    room = max_seq_len - 2
    examples = []
    for words, tags, intent in rows:
        ids = [piece for word in words for piece in pieces[word]]
        marks = [
            slots.get(tag, slots[UNKNOWN]) if first else ignore_index
            for word, tag in zip(words, tags, strict=True)
            for first in [True] + [False] * (len(pieces[word]) - 1)
        ]
        examples.append(
            Example(
                words=tuple(words),
                ids=(vocabulary.cls, *ids[:room], vocabulary.sep),
                slots=(ignore_index, *marks[:room], ignore_index),
                intent=intents.get(intent, intents[UNKNOWN]),
                pieces=len(ids) + 2,
            )
        )
    return tuple(examples)


def _columns(directory: Path) -> Iterator[list[str]]:
    """The lines of seq.in, seq.out and label; only a newline ends a line."""
    for name in ("seq.in", "seq.out", "label"):
        text = (directory / name).read_bytes().decode("utf-8")
        yield text.removesuffix("\n").split("\n")


def _cut(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _load(
    settings: Settings, examples: Sequence[Example], order: list[list[int]]
) -> Iterator[Batch]:
    width = 0 if settings["bucket"] else int(settings["max_seq_len"])
    ignored = int(settings["ignore_index"])
    padding = _vocabulary(str(settings["checkpoint"])).pad
    sentences = Sentences(examples)
    # paddle.io.DataLoader would turn every array into a tensor on a thread of its own.
    for indices in Order(order):
        chosen = [sentences[index] for index in indices]
        yield _pad(chosen, max(width, *(len(one.ids) for one in chosen)), padding, ignored)


def _pad(examples: Sequence[Example], length: int, padding: int, ignored: int) -> Batch:
    lengths = [len(one.ids) for one in examples]
    rest = [length - present for present in lengths]
    rows = list(zip(examples, rest, strict=True))
    present = [[1] * (length - left) + [0] * left for left in rest]
    return {
        "input_ids": np.array([[*one.ids, *[padding] * left] for one, left in rows], np.int64),
        "attention_mask": np.array(present, np.int64),
        "token_type_ids": np.zeros((len(examples), length), np.int64),
        "intent_label_ids": np.array([one.intent for one in examples], np.int64),
        "slot_labels_ids": np.array([[*one.slots, *[ignored] * left] for one, left in rows]),
    }
