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

from jointbert import saved
from jointbert.bert_files import check_config, check_vocabulary, read_json
from jointbert.inputs import WEIGHTS, check_length
from jointbert.labels import INTENT_FILE, SECTION, SLOT_FILE, Labels, read_labels
from jointbert.parameters import check_shapes, own_name, wanted_shapes
from modelparity import InputError, UsageError
from modelparity.compare.read import whole_array
from modelparity.formats import open_tensors

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
    config = _config(source / saved.CONFIG)
    check_vocabulary(vocabulary / "vocab.txt", config)
    check_length(source, config, max_seq_len)
    crf = "crf.transitions" in arrays
    shapes = {name: array.shape for name, array in arrays.items()}
    check_shapes(source, shapes, wanted_shapes(config, sets, crf=crf))
    with TemporaryDirectory() as scratch:
        together = Path(scratch)
        for name in saved.TOKENIZER:
            if (vocabulary / name).exists():
                shutil.copyfile(vocabulary / name, together / name)
        (together / saved.CONFIG).write_text(json.dumps(config), encoding="utf-8")
        kept = {"crf": crf, "max_seq_len": max_seq_len, **ASSUMED}
        saved.write(out, arrays, {**kept, "checkpoint": str(together)}, sets)


def _labels(directory: Path) -> Labels:
    for name in (INTENT_FILE, SLOT_FILE):
        if not (directory / name).exists():
            raise InputError(
                f"{directory / name}: no such file; name the directory of the labels by --labels"
            )
    return read_labels(directory)


def _weights(source: Path) -> Arrays:
    """The parameters, under our names."""
    path = next((source / n for n in (WEIGHTS, BIN) if (source / n).exists()), None)
    if path is None:
        raise InputError(f"{source}: neither {WEIGHTS} nor {BIN}; no parameters to import")
    found = {name: t for name, t in open_tensors(path).items() if not _unused(name)}
    for name, tensor in found.items():
        if not tensor.dtype.startswith(("float", "bfloat")):
            raise InputError(f"{path}: {name} holds {tensor.dtype}; parameters are floats")
    return {own_name(name): whole_array(tensor) for name, tensor in found.items()}


def _unused(name: str) -> bool:
    return name.endswith("position_ids")


def _check_shape(arrays: Arrays, kind: str, count: int, path: Path) -> None:
    name = f"{kind}_classifier.linear.weight"
    if name not in arrays:
        raise InputError(f"{name} is missing; this is not a JointBERT")
    if arrays[name].shape[0] != count:
        raise InputError(
            f"{path}: {count} labels, but the model has {arrays[name].shape[0]}; name the labels"
            " that it was trained with by --labels"
        )


def _config(path: Path) -> dict[str, object]:
    config = read_json(path)
    # Written by releases that knew neither key; BERT is all that this implementation takes over.
    config.setdefault("model_type", "bert")
    config.pop(SECTION, None)
    check_config(path, config)
    return config
