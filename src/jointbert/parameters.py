"""Which parameters a model must have, by name and shape, as its configuration and labels demand.

They are read from a file's header, so a model that does not fit is refused before it is loaded.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from jointbert.labels import Labels
from modelparity import InputError

Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes in a safetensors file, of which only the header is read; at least one."""
    if not path.exists():
        raise InputError(f"{path}: no such file; save the checkpoint as one safetensors file")
    try:
        with safe_open(path, framework="numpy") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); fetch it again") from None
    if not found:
        raise InputError(f"{path}: holds no parameters; save the checkpoint again")
    return found


def check_shapes(path: Path, found: Shapes, wanted: Shapes) -> None:
    """InputError for the first parameter that is missing, of another shape, or not wanted."""
    for name, shape in wanted.items():
        if name not in found:
            raise InputError(f"{path}: {name} is missing; the model was not saved whole")
        if found[name] != shape:
            raise InputError(
                f"{path}: {name} has shape {found[name]}, the model {shape};"
                " it belongs to another config.json or label set"
            )
    for name in found:
        if name not in wanted:
            raise InputError(f"{path}: {name} is not part of the model; remove it")


def check_encoder(path: Path, found: Shapes, config: Mapping[str, object]) -> None:
    """InputError for the first parameter of BERT that is missing or of another shape."""
    named = {own_name(name): shape for name, shape in found.items()}
    for wanted, shape in _encoder(config):
        if wanted not in named:
            raise InputError(
                f"{path}: {wanted} is missing; the checkpoint is not a whole BERT model"
            )
        if named[wanted] != shape:
            raise InputError(
                f"{path}: {wanted} has shape {named[wanted]}, the model {shape};"
                " it belongs to another config.json"
            )


def own_name(name: str) -> str:
    """A BERT parameter's name as both sides have it, of the spellings that checkpoints have."""
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return f"bert.{name}" if name.startswith(("embeddings.", "encoder.", "pooler.")) else name


def wanted_shapes(config: Mapping[str, object], labels: Labels, *, crf: bool) -> Shapes:
    """All parameters of a JointBERT; the configuration has been checked."""
    hidden, slots = _size(config, "hidden_size"), len(labels.slots)
    wanted = dict(_encoder(config))
    for name, count in (("intent", len(labels.intents)), ("slot", slots)):
        wanted |= _linear(f"{name}_classifier.linear", count, hidden)
    if crf:
        wanted["crf.transitions"] = (slots, slots)
        wanted |= {f"crf.{end}_transitions": (slots,) for end in ("start", "end")}
    return wanted


def _encoder(config: Mapping[str, object]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, wide = _size(config, "hidden_size"), _size(config, "intermediate_size")
    for name, rows in (
        ("word", _size(config, "vocab_size")),
        ("position", _size(config, "max_position_embeddings")),
        ("token_type", _size(config, "type_vocab_size")),
    ):
        yield f"bert.embeddings.{name}_embeddings.weight", (rows, hidden)
    yield from _norm("bert.embeddings", hidden)
    for number in range(_size(config, "num_hidden_layers")):
        layer = f"bert.encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _linear(f"{layer}.attention.{part}", hidden, hidden).items()
        yield from _norm(f"{layer}.attention.output", hidden)
        yield from _linear(f"{layer}.intermediate.dense", wide, hidden).items()
        yield from _linear(f"{layer}.output.dense", hidden, wide).items()
        yield from _norm(f"{layer}.output", hidden)
    yield from _linear("bert.pooler.dense", hidden, hidden).items()


def _linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.LayerNorm.weight", (hidden,)
    yield f"{name}.LayerNorm.bias", (hidden,)


def _size(config: Mapping[str, object], key: str) -> int:
    value = config.get(key, 2)  # only type_vocab_size may be absent: 2 is BERT's
    assert isinstance(value, int)
    return value
