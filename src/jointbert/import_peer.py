"""Take over models that the PyTorch implementation in wide use (monologg/JointBERT) has trained.

Its directory holds `config.json`, `pytorch_model.bin` or `model.safetensors`, and pickled options,
which are never opened. Its labels are files of the task, its vocabulary is that of the model that
it began from; both may lie elsewhere.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jointbert import saved
from jointbert.inputs import WEIGHTS, check_checkpoint, check_length, read_json
from jointbert.labels import INTENT_FILE, SECTION, SLOT_FILE, Labels, read_labels
from jointbert.parser import require
from modelparity import InputError, UsageError

BIN = "pytorch_model.bin"
# Its defaults; what a model was trained with is in the pickled arguments. Only training reads
# the dropout and the coefficient.
ASSUMED = {"dropout": 0.1, "ignore_index": 0, "slot_loss_coef": 1.0}

Arrays = dict[str, np.ndarray[Any, Any]]


def import_peer(source: Path, out: Path, labels: Path, tokenizer: str, max_seq_len: int) -> None:
    """Save the model of `source` in `out`.

    labels      the directory of intent_label.txt and slot_label.txt
    tokenizer   a directory or hub name with the vocabulary; "" where it lies in `source`

    Raises UsageError and InputError; `out` is written only when everything fits.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such directory; name the one with config.json")
    if (out / saved.CONFIG).exists():
        raise UsageError(f"{out}: holds a model already; choose another directory")
    if max_seq_len < 3:
        raise UsageError(f"--max_seq_len {max_seq_len}: [CLS], one piece and [SEP] need 3")
    sets = _labels(labels)
    arrays = _weights(source)
    _check_shape(arrays, "intent", len(sets.intents), labels / INTENT_FILE)
    _check_shape(arrays, "slot", len(sets.slots), labels / SLOT_FILE)
    vocabulary = saved.locate(tokenizer, ("vocab.txt",)) if tokenizer else source
    if not (vocabulary / "vocab.txt").exists():
        raise InputError(
            f"{vocabulary}: no vocab.txt; name the model that it was trained from by --tokenizer"
        )
    with TemporaryDirectory() as scratch:
        together = Path(scratch)
        for name in saved.TOKENIZER:
            if (vocabulary / name).exists():
                shutil.copyfile(vocabulary / name, together / name)
        _write_config(source / saved.CONFIG, together / saved.CONFIG)
        config = check_checkpoint(together, weights=False)
        check_length(source, config, max_seq_len)
        kept = {"crf": "crf.transitions" in arrays, "max_seq_len": max_seq_len, **ASSUMED}
        saved.write(out, arrays, {**kept, "checkpoint": str(together)}, sets)


def _labels(directory: Path) -> Labels:
    for name in (INTENT_FILE, SLOT_FILE):
        if not (directory / name).exists():
            raise InputError(
                f"{directory / name}: no such file; name the directory of the labels by --labels"
            )
    return read_labels(directory)


def _weights(source: Path) -> Arrays:
    path = source / WEIGHTS
    if path.exists():
        try:
            found: Arrays = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: not a safetensors file ({error})") from None
    elif (source / BIN).exists():
        try:
            require("torch")
        except UsageError:
            raise UsageError(
                f"{source / BIN}: only PyTorch reads it; run the import where PyTorch is installed,"
                " Paddle reads the result"
            ) from None
        from jointbert.in_torch.pickled import read

        path, found = source / BIN, read(source / BIN)
    else:
        raise InputError(f"{source}: neither {WEIGHTS} nor {BIN}; no parameters to import")
    return {_renamed(n): a for n, a in found.items() if not n.endswith("position_ids")}


def _renamed(name: str) -> str:
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _check_shape(arrays: Arrays, kind: str, count: int, path: Path) -> None:
    name = f"{kind}_classifier.linear.weight"
    if name not in arrays:
        raise InputError(f"{name} is missing; this is not a JointBERT")
    if arrays[name].shape[0] != count:
        raise InputError(
            f"{path}: {count} labels, but the model has {arrays[name].shape[0]}; name the labels"
            " that it was trained with by --labels"
        )


def _write_config(source: Path, target: Path) -> None:
    config = read_json(source)
    # Written by releases that knew neither key; BERT is all that this implementation takes over.
    config.setdefault("model_type", "bert")
    config.pop(SECTION, None)
    target.write_text(json.dumps(config), encoding="utf-8")
