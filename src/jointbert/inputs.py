"""What a user can get wrong about a data directory or a checkpoint, found before anything runs.

Every function raises InputError with one line that says what, where and what to do. Nothing here
imports a framework.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jointbert.bert_files import check_config, check_vocabulary, read_json
from jointbert.labels import PAD, Labels, read_labels, read_lines
from jointbert.parameters import check_encoder, shapes_in
from modelparity import InputError

SPLITS = ("train", "dev", "test")
FILES = ("seq.in", "seq.out", "label")
WEIGHTS = "model.safetensors"


def check_data(data: str | Path, splits: Sequence[str] = SPLITS) -> Labels:
    """Check these splits of a task and return its label sets."""
    directory = Path(data)
    if not directory.is_dir():
        raise InputError(f"data {directory}: no such directory; name one with train, dev and test")
    for split in splits:
        check_split(directory / split)
    labels = read_labels(directory)
    if "train" in splits:
        _check_known(directory / "train" / "seq.out", labels.slots, "slot_label.txt")
        _check_known(directory / "train" / "label", labels.intents, "intent_label.txt")
    return labels


def check_checkpoint(checkpoint: str | Path, *, weights: bool) -> dict[str, object]:
    """Check a directory in Hugging Face layout and return its config.json.

    `weights`: whether model.safetensors must be there. Only its header is read.
    """
    directory = Path(checkpoint)
    if not directory.is_dir():
        raise InputError(f"checkpoint {directory}: no such directory; name one in HF layout")
    config = read_json(directory / "config.json")
    check_config(directory / "config.json", config)
    check_vocabulary(directory / "vocab.txt", config)
    if weights:
        path = directory / WEIGHTS
        check_encoder(path, shapes_in(path), config)
    return config


def check_length(checkpoint: str | Path, config: Mapping[str, object], max_seq_len: int) -> None:
    """Check that the model of this config.json has a position for every piece."""
    positions = config["max_position_embeddings"]
    if isinstance(positions, int) and max_seq_len > positions:
        raise InputError(
            f"{checkpoint}: has {positions} positions, but max_seq_len is {max_seq_len};"
            " lower max_seq_len"
        )


def check_split(directory: Path) -> None:
    """Check one split by itself."""
    words, slots, intents = (read_lines(directory / name) for name in FILES)
    if not words:
        raise InputError(f"{directory / 'seq.in'}: no sentences; a split needs at least one")
    for name, lines in (("seq.out", slots), ("label", intents)):
        if len(lines) != len(words):
            raise InputError(
                f"{directory / name}: {len(lines)} lines, but seq.in has {len(words)};"
                " each sentence needs one line in each file"
            )
    for number, (sentence, tags, intent) in enumerate(zip(words, slots, intents, strict=True), 1):
        count, tagged = len(sentence.split()), len(tags.split())
        if not count:
            raise InputError(f"{directory / 'seq.in'}:{number}: empty sentence; remove this line")
        if count != tagged:
            raise InputError(
                f"{directory / 'seq.out'}:{number}: {tagged} slot labels for {count} words;"
                " give each word one label"
            )
        if PAD in tags.split():
            raise InputError(
                f"{directory / 'seq.out'}:{number}: {PAD} stands for padding; no word may have it"
            )
        if not {"B-", "I-"}.isdisjoint(tags.split()):
            raise InputError(
                f"{directory / 'seq.out'}:{number}: B- or I- without a type; write B-type, I-type"
            )
        if not intent.strip():
            raise InputError(f"{directory / 'label'}:{number}: no intent; write one a line")


def _check_known(path: Path, known: tuple[str, ...], file: str) -> None:
    labels = set(known)
    intents = path.name == "label"
    for number, line in enumerate(read_lines(path), 1):
        for label in [line.strip()] if intents else line.split():
            if label not in labels:
                raise InputError(f"{path}:{number}: label {label!r} is not in {file}; add it there")
