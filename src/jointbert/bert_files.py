"""What can be wrong with the files of a BERT besides its parameters.

Every function raises InputError with one line that says what, where and what to do.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from jointbert.labels import read_lines
from modelparity import InputError

SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
# Numbers that may be absent, and what they must lie in.
NUMBERS: Mapping[str, tuple[float, float]] = {
    "hidden_dropout_prob": (0.0, 0.99),
    "attention_probs_dropout_prob": (0.0, 0.99),
    "layer_norm_eps": (1e-30, 1.0),
    "initializer_range": (0.0, 100.0),
}
ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu")  # those that both sides have
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
TOKENIZER = "tokenizer_config.json"


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file of a checkpoint."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a checkpoint needs it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); restore the file") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; restore the file")
    return value


def check_config(path: Path, config: Mapping[str, object]) -> None:
    """Check that a config.json describes a BERT encoder that both sides can build."""
    expected: tuple[tuple[str, object], ...] = (
        ("model_type", "bert"),
        ("position_embedding_type", "absolute"),
        ("is_decoder", False),
        ("add_cross_attention", False),
    )
    for key, value in expected:
        found = config.get(key, value)
        if found != value:
            raise InputError(f"{path}: {key} is {found!r}; only a BERT encoder ({value!r}) will do")
    for key in (*SIZES, "type_vocab_size"):
        found = config.get(key, None if key in SIZES else 2)
        if type(found) is not int or found < 1:
            raise InputError(f"{path}: {key} is {found!r}; it must be a whole number above 0")
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    if isinstance(hidden, int) and isinstance(heads, int) and hidden % heads:
        raise InputError(f"{path}: hidden_size {hidden} is not a multiple of {heads} heads")
    for key, (least, most) in NUMBERS.items():
        found = config.get(key, least)
        if type(found) not in (int, float) or not least <= found <= most:  # type: ignore[operator]
            raise InputError(f"{path}: {key} is {found!r}; it must be from {least} to {most}")
    if config.get("hidden_act", "gelu") not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(f"{path}: hidden_act is {config['hidden_act']!r}; one of {known}")


def check_vocabulary(path: Path, config: Mapping[str, object]) -> None:
    """Check a vocab.txt against a config.json, and the tokenizer's files beside it."""
    if not path.exists():
        raise InputError(
            f"{path}: no such file; a checkpoint needs its vocabulary, one piece a line"
        )
    pieces = [line.rstrip("\r") for line in read_lines(path)]
    for piece in SPECIAL.values():
        if piece not in pieces:
            raise InputError(f"{path}: {piece} is missing; this is not a BERT vocabulary")
    size = config["vocab_size"]
    if isinstance(size, int) and len(pieces) > size:
        raise InputError(f"{path}: {len(pieces)} pieces, but config.json says vocab_size {size}")
    padding = config.get("pad_token_id", 0)
    if padding != pieces.index("[PAD]"):
        raise InputError(
            f"{path}:{pieces.index('[PAD]') + 1}: [PAD] stands here, but config.json says"
            f" pad_token_id {padding}; one of the two is wrong"
        )
    _check_tokenizer(path.parent)


def _check_tokenizer(directory: Path) -> None:
    """BERT's own splitting and no pieces besides vocab.txt: what both sides read alike."""
    path = directory / TOKENIZER
    config = read_json(path) if path.exists() else {}
    for key in ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "do_basic_tokenize"):
        if config.get(key) not in (None, True, False):
            raise InputError(f"{path}: {key} is {config[key]!r}; it must be true or false")
    if config.get("do_basic_tokenize") is False:
        raise InputError(f"{path}: do_basic_tokenize is false; only BERT's own splitting will do")
    for file, key, token in _tokens(directory, config):
        if token != SPECIAL.get(key) and (key in SPECIAL or token not in SPECIAL.values()):
            raise InputError(
                f"{file}: {key} has {token!r}; only the pieces of vocab.txt, split as BERT does,"
                " will do"
            )


def _tokens(directory: Path, config: Mapping[str, object]) -> Iterator[tuple[Path, str, object]]:
    """Every token that a file names besides vocab.txt, with its file and key."""
    path = directory / "special_tokens_map.json"
    for file, values in ((directory / TOKENIZER, config), (path, _optional(path))):
        for key, value in values.items():
            if key in SPECIAL:
                yield file, key, _content(value)
            elif key in ("additional_special_tokens", "never_split") and isinstance(value, list):
                yield from ((file, key, _content(one)) for one in value)
            elif key == "added_tokens_decoder" and isinstance(value, dict):
                yield from ((file, key, _content(one)) for one in value.values())
    path = directory / "added_tokens.json"
    yield from ((path, "a token", token) for token in _optional(path))


def _optional(path: Path) -> dict[str, object]:
    return read_json(path) if path.exists() else {}


def _content(token: object) -> object:
    return token.get("content") if isinstance(token, dict) else token
