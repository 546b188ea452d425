"""A saved model: one directory in Hugging Face layout that either framework reads.

`config.json` is BERT's, with a section `jointbert` for what BERT does not know: labels, CRF,
lengths. `model.safetensors` holds every parameter by its Hugging Face name, linear weights as torch
lays them out. The tokenizer's files are copied from the checkpoint. Nothing is pickled.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from jointbert.checkpoint import written_whole
from jointbert.hub import fetch
from jointbert.inputs import WEIGHTS, check_checkpoint, check_length
from jointbert.labels import SECTION, Labels, read_labels
from jointbert.options import Options, check_values, typed
from jointbert.parameters import check_shapes, shapes_in, wanted_shapes
from modelparity import InputError, UsageError

FORMAT = 1
CONFIG = "config.json"
TOKENIZER = (
    "vocab.txt",
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
KEPT = ("crf", "max_seq_len", "dropout", "ignore_index", "slot_loss_coef")


@dataclass(frozen=True)
class Saved:
    """What a saved model's directory says of itself."""

    directory: Path
    labels: Labels
    crf: bool
    max_seq_len: int
    dropout: float
    ignore_index: int
    slot_loss_coef: float


def locate(name: str, needed: Sequence[str] = (CONFIG, WEIGHTS, "vocab.txt")) -> Path:
    """The directory of a model: a local one, or `owner/name` fetched from the hub.

    Raises InputError where there is neither, or where the hub's lacks a file that is needed.
    """
    directory = Path(name).expanduser()
    if name and directory.is_dir():
        return directory
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or not name or directory.exists():
        raise InputError(f"model {name!r}: no such directory; name one, or a model of the hub")
    return fetch(name, needed, TOKENIZER)


def read(name: str | Path) -> Saved:
    """Check a saved model and return what it says; only the header of its weights is read.

    Raises InputError.
    """
    directory = locate(str(name))
    config = check_checkpoint(directory, weights=True)
    path = directory / CONFIG
    section = config.get(SECTION)
    if not isinstance(section, dict):
        raise InputError(
            f"{path}: no section {SECTION!r}; this is not a model that jointbert saved"
            " (jointbert import takes models of other implementations)"
        )
    if section.get("format") != FORMAT:
        raise InputError(
            f"{path}: format {section.get('format')!r}, this release reads {FORMAT}; it was"
            f" written by release {section.get('release', 'unknown')}"
        )
    labels, values = read_labels(directory), _values(path, section)
    saved = Saved(directory, labels, **values)
    check_length(path, config, saved.max_seq_len)
    weights = directory / WEIGHTS
    check_shapes(weights, shapes_in(weights), wanted_shapes(config, labels, crf=saved.crf))
    return saved


def _values(path: Path, section: Mapping[str, Any]) -> dict[str, Any]:
    defaults = asdict(Options())
    try:
        values = {name: typed(name, section[name], defaults[name]) for name in KEPT}
        check_values({**defaults, **values}, {})
    except KeyError as error:
        raise InputError(
            f"{path}: section {SECTION!r} lacks {error}; save the model again"
        ) from None
    except UsageError as error:
        raise InputError(f"{path}: section {SECTION!r}: {error}; save the model again") from None
    return values


def settings_of(saved: Saved, **changes: Any) -> dict[str, Any]:
    """Settings with which a side builds, evaluates and runs the model."""
    own = {name: getattr(saved, name) for name in KEPT}
    return {
        "data": str(saved.directory),
        "labels": str(saved.directory),
        "checkpoint": str(saved.directory),
        "pretrained": True,
        "attention": "eager",
        "bucket": True,
        "eval_batch_size": 64,
        "precision": "float32",
        "threads": 0,
        "seed": 0,
        **own,
        **changes,
    }


def write(
    directory: Path,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    settings: Mapping[str, Any],
    labels: Labels,
) -> None:
    """Save a model; the tokenizer and BERT's configuration come from `settings["checkpoint"]`.

    Each file appears whole, config.json the last. Raises InputError where the directory cannot be
    written.
    """
    source = Path(settings["checkpoint"])
    for name in TOKENIZER:
        if (source / name).exists():
            with written_whole(directory / name) as path:
                shutil.copyfile(source / name, path)
    whole = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    with written_whole(directory / WEIGHTS) as path:
        save_file(whole, path, {"format": "pt"})
    config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    config["architectures"] = ["JointBert"]
    config.pop("dtype", None)
    config.pop("torch_dtype", None)
    section: dict[str, Any] = {"format": FORMAT, "release": release()}
    section |= {name: settings[name] for name in KEPT}
    section |= {"intents": list(labels.intents), "slots": list(labels.slots)}
    config[SECTION] = section
    with written_whole(directory / CONFIG) as path:
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def release() -> str:
    """The release that runs."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("modelparity")
    except PackageNotFoundError:
        return "unknown"
