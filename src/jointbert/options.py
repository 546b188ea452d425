"""What a user may choose, the same for both frameworks: names and defaults of the field.

Other spellings that implementations in wide use have for an option are accepted too (ALIASES).
"""

import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from modelparity import InputError, UsageError


def _option(default: Any, meaning: str, *choices: str) -> Any:
    return field(default=default, metadata={"meaning": meaning, "choices": choices})


@dataclass(frozen=True)
class Options:
    """Options of a training. Field by field as on the command line and in a configuration file."""

    crf: bool = _option(False, "decode slots by a CRF")
    max_seq_len: int = _option(50, "pieces a sentence may have, [CLS] and [SEP] included")
    batch_size: int = _option(32, "sentences a batch of training")
    eval_batch_size: int = _option(64, "sentences a batch of evaluation")
    bucket: bool = _option(True, "batches of like length, padded to their longest sentence")
    learning_rate: float = _option(5e-5, "peak learning rate")
    schedule: str = _option("linear", "what follows the warm-up", "linear", "constant")
    warmup_steps: int = _option(0, "updates over which the rate rises")
    epochs: int = _option(10, "passes over the training split")
    patience: int = _option(0, "epochs without a better one on dev before training stops; 0: never")
    gradient_accumulation_steps: int = _option(1, "batches an update")
    weight_decay: float = _option(0.0, "decay of all but biases and LayerNorm weights")
    adam_epsilon: float = _option(1e-8, "AdamW's epsilon")
    max_grad_norm: float = _option(1.0, "limit of the gradients' global norm")
    dropout: float = _option(0.1, "dropout before both classifiers")
    ignore_index: int = _option(0, "slot label that does not count: 0 (PAD) or one below 0")
    slot_loss_coef: float = _option(1.0, "weight of the slot loss beside the intent loss")
    class_weights: str = _option(
        "none", "losses weighted against frequency", "none", "intents", "slots", "both"
    )
    precision: str = _option("float32", "of the encoder's arithmetic", "float32", "bfloat16")
    seed: int = _option(1234, "of the heads, the order and dropout")
    threads: int = _option(0, "processor threads; 0: all cores")
    processes: int = _option(1, "processes that share every batch")
    save_steps: int = _option(200, "updates between checkpoints, besides epochs' ends; 0: none")


ALIASES: Mapping[str, str] = {
    "use_crf": "crf",
    "train_batch_size": "batch_size",
    "lr": "learning_rate",
    "num_train_epochs": "epochs",
    "dropout_rate": "dropout",
    "data_dir": "data",
    "model_dir": "out",
}
POSITIVE = (
    "batch_size",
    "eval_batch_size",
    "learning_rate",
    "epochs",
    "gradient_accumulation_steps",
    "processes",
    "adam_epsilon",
    "max_grad_norm",
    *("layers", "hidden", "heads", "intermediate"),  # of the embedded model
)
NOT_NEGATIVE = (
    "warmup_steps",
    "patience",
    "weight_decay",
    "slot_loss_coef",
    "seed",
    "threads",
    "save_steps",
    "trained_updates",  # of the ladder, as the next
    "lockstep_epochs",
)
# Options that do not say what is trained; a training may go on with others.
INCIDENTAL = ("save_steps",)


def read_config(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Options of a TOML or JSON file, under their own names; `names` are known besides Options'.

    Raises InputError for a file that cannot be read and UsageError for an option.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = json.loads(text) if path.suffix == ".json" else _toml(text)
    except FileNotFoundError:
        raise InputError(f"--config {path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--config {path}: cannot be read ({error}); mend the file") from None
    if not isinstance(found, dict):
        raise InputError(f"--config {path}: not an object; write one option a name")
    known = [*(one.name for one in fields(Options)), *ALIASES, *names]
    options = {}
    for key, value in found.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "jointbert train --help lists them"
            raise UsageError(f"--config {path}: option {key!r} is unknown; {hint}")
        options[ALIASES.get(name, name)] = value
    return options


def _toml(text: str) -> object:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise UsageError(
                "--config: TOML needs Python 3.11 or the package tomli; use JSON"
            ) from None
    return tomllib.loads(text)


def make_options(values: Mapping[str, Any]) -> Options:
    """Options with these values; raises UsageError for one that cannot be used."""
    options = replace(Options())
    for one in fields(Options):
        if one.name in values:
            value = typed(one.name, values[one.name], one.default)
            options = replace(options, **{one.name: value})
    check_values(asdict(options), {one.name: one.metadata["choices"] for one in fields(Options)})
    if options.ignore_index > 0:
        raise UsageError(
            f"ignore_index: {options.ignore_index} is a label; use 0 (PAD) or a number below 0"
        )
    if options.crf and options.class_weights in ("slots", "both"):
        raise UsageError(
            f"class_weights: {options.class_weights}; the CRF's likelihood takes no weights,"
            " use intents or none"
        )
    return options


def typed(name: str, value: Any, default: Any) -> Any:
    """The value, as a float where the default is one; UsageError where it is of another type."""
    kind = type(default)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        meant = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
        raise UsageError(f"{name}: {value!r} is not {meant[kind]}")
    return value


def check_values(
    values: Mapping[str, Any], choices: Mapping[str, Sequence[str]], *, zero: Sequence[str] = ()
) -> None:
    """Check ranges and choices; UsageError for a value that is outside.

    zero  names of POSITIVE that may be 0 here
    """
    for name, allowed in choices.items():
        if allowed and values[name] not in allowed:
            raise UsageError(f"{name}: {values[name]!r}; one of {', '.join(allowed)}")
    for name in values:
        if name in POSITIVE and name not in zero and not 0 < values[name] < float("inf"):
            raise UsageError(f"{name}: {values[name]}; it must be above 0")
        if name in (*NOT_NEGATIVE, *zero) and not 0 <= values[name] < float("inf"):
            raise UsageError(f"{name}: {values[name]}; it must be 0 or above")
    if not 0 <= values["dropout"] < 1:
        raise UsageError(f"dropout: {values['dropout']}; it must be in [0, 1)")
    if values["max_seq_len"] < 3:
        raise UsageError(f"max_seq_len: {values['max_seq_len']}; [CLS], one piece and [SEP] need 3")
    if values["ignore_index"] < 0 and values["crf"]:
        raise UsageError(
            f"ignore_index: {values['ignore_index']}; the CRF scores every position, use 0 (PAD)"
        )
