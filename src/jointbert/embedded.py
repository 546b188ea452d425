"""The embedded task and model: written by the project's own grammar, so that nothing is fetched.

The task holds what is hard for a port: last batches of one example, words of several pieces, upper
case, accents, letters outside ASCII, a word that tokenizes to nothing, sentences of one word and of
more than 50 pieces, and a label in the test split that training has never seen.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from jointbert.phrases import ANSWERS, LONG, PIECES, SLOTS, TEMPLATES, VALUES
from modelparity import InputError

# 17 batches of 32 and one example; two batches of 64 and one example.
SIZES: Mapping[str, int] = {"train": 545, "dev": 129, "test": 129}
# Fixed: a run's seed varies the training, not the task. The digits are those of arXiv 1902.10909.
SEED = 190210909
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_POSITIONS = 64
# BERT's 0.02 is made for a width of 768. At a width of 64 the pooled output would hardly vary, and
# intents would stay at chance for the 150 updates that the ladder trains.
INITIALIZER_RANGE = 0.1
FREQUENT = 6  # from how many occurrences on a word is known whole
AMBIGUOUS = 0.08  # share of sentences that leave their intent open
CAPITAL = 0.15  # share of the others that begin with a capital by chance
MARK = ".embedded"  # a file that tells directories written here from a user's
# A soft hyphen alone: BERT's text cleaning removes it, and the word has no piece left.
VANISHING = "\u00ad"

Sentence = tuple[tuple[str, ...], tuple[str, ...], str]  # words, their slot labels, intent


def sentences(split: str) -> list[Sentence]:
    """The sentences of a split, the same in every run."""
    rng = np.random.default_rng([SEED, list(SIZES).index(split)])
    made = [_sentence(rng) for _ in range(SIZES[split])]
    if split == "train":
        made[17] = _filled(rng, LONG, "book_flight")
        made[100] = (
            ("alarm", VANISHING, "at", "noon"),
            ("O", "O", "O", "B-time"),
            "set_alarm",
        )
    if split == "test":
        made[5] = _filled(rng, LONG, "book_flight")
        made[40] = (("cancel", VANISHING), ("O", "O"), "stop")
        made[64] = (
            ("take", "me", "to", "gate", "B", "twelve"),
            ("O", "O", "O", "B-gate", "I-gate", "I-gate"),
            "navigate",
        )
    return made


def vocabulary() -> list[str]:
    """Pieces by id: the special ones, every character needed, frequent words, word endings.

    Any text in ASCII tokenizes without [UNK]. Words that are rare in the training split fall into
    pieces.
    """
    printable = [chr(code) for code in range(33, 127)]
    latin = [chr(code) for code in range(0xDF, 0x100) if chr(code) != "÷"] + list("ıłœ£°")
    letters = printable + latin
    counts: Counter[str] = Counter()
    for words, _, _ in sentences("train"):
        counts.update(word.lower() for word in words)
    frequent = sorted(w for w, n in counts.items() if n >= FREQUENT and re.fullmatch("[a-z]+", w))
    pieces = [*SPECIAL, *letters, *(f"##{c}" for c in letters), *frequent]
    pieces += [f"##{piece}" for piece in PIECES]
    return list(dict.fromkeys(pieces))


def is_embedded(directory: Path) -> bool:
    """Whether a directory was written by this module."""
    return (directory / MARK).exists()


def write_task(directory: Path) -> None:
    """Write the three splits in the seq.in/seq.out/label layout, without label files.

    InputError where something else is in the directory.
    """
    _claim(directory)
    for split in SIZES:
        made = sentences(split)
        _write(directory / split / "seq.in", (" ".join(words) for words, _, _ in made))
        _write(directory / split / "seq.out", (" ".join(slots) for _, slots, _ in made))
        _write(directory / split / "label", (intent for _, _, intent in made))


def write_model(directory: Path, settings: Mapping[str, object]) -> None:
    """Write config.json, vocab.txt and tokenizer_config.json, but no weights.

    Reads `layers`, `hidden`, `heads`, `intermediate` and `max_seq_len` of the settings. InputError
    where something else is in the directory.
    """
    _claim(directory)
    pieces = vocabulary()
    length = settings["max_seq_len"]
    config = {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": settings["hidden"],
        "initializer_range": INITIALIZER_RANGE,
        "intermediate_size": settings["intermediate"],
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": max(MAX_POSITIONS, length if isinstance(length, int) else 0),
        "model_type": "bert",
        "num_attention_heads": settings["heads"],
        "num_hidden_layers": settings["layers"],
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": len(pieces),
    }
    tokenizer = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    _write(directory / "vocab.txt", pieces)
    _write(directory / "config.json", [json.dumps(config, indent=2, sort_keys=True)])
    _write(
        directory / "tokenizer_config.json",
        [json.dumps(tokenizer, indent=2, sort_keys=True)],
    )


def _sentence(rng: np.random.Generator) -> Sentence:
    intents = [intent for intent in TEMPLATES if intent != "?"]
    ambiguous = rng.random() < AMBIGUOUS
    intent = "?" if ambiguous else intents[rng.integers(len(intents))]
    template = TEMPLATES[intent][rng.integers(len(TEMPLATES[intent]))]
    if not ambiguous:
        return _filled(rng, template, intent)
    meant, renamed = ANSWERS[rng.integers(len(ANSWERS))]
    return _filled(rng, template, meant, renamed)


def _filled(
    rng: np.random.Generator,
    template: str,
    intent: str,
    renamed: Mapping[str, str] | None = None,
) -> Sentence:
    words: list[str] = []
    labels: list[str] = []
    for part in template.split():
        slot = re.fullmatch(r"\{(\w+)\}(\W*)", part)
        if slot is None:
            words.append(part)
            labels.append("O")
            continue
        choices = VALUES[SLOTS[slot[1]]]
        value = choices[int(rng.integers(len(choices)))].split()
        value[-1] += slot[2]
        name = (renamed or {}).get(slot[1], slot[1])
        words += value
        labels += [f"B-{name}", *[f"I-{name}"] * (len(value) - 1)]
    if rng.random() < CAPITAL:
        words[0] = words[0].capitalize()
    return tuple(words), tuple(labels), intent


def _claim(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if not is_embedded(directory) and any(directory.iterdir()):
        raise InputError(f"{directory}: holds files of others; move them or choose another place")
    (directory / MARK).touch()


def _write(path: Path, lines: Iterable[str]) -> None:
    # Both sides may write at once: each file appears whole, and with the same content.
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(text.encode("utf-8"))
    unfinished.replace(path)
