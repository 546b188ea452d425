"""A BERT's files are refused where the two sides would read them differently, or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from jointbert.embedded import write_model
from jointbert.inputs import check_checkpoint
from jointbert.labels import Labels
from jointbert.parameters import wanted_shapes
from modelparity.errors import InputError

SIZES = {"layers": 2, "hidden": 8, "heads": 2, "intermediate": 16, "max_seq_len": 50}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write_model(tmp_path / "bert", SIZES)
    return tmp_path / "bert"


def changed(path: Path, **values: Any) -> None:
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **values}), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": {"9": {"content": "[unused0]"}}}),
        ("tokenizer_config.json", {"additional_special_tokens": ["<e>"]}),
        ("tokenizer_config.json", {"never_split": ["New-York"]}),
        ("tokenizer_config.json", {"unk_token": "<unk>"}),
        ("tokenizer_config.json", {"do_basic_tokenize": False}),
        ("tokenizer_config.json", {"do_lower_case": "no"}),
        ("special_tokens_map.json", {"pad_token": {"content": "[UNK]"}}),
        ("added_tokens.json", {"<num>": 7}),
        ("config.json", {"hidden_act": "tanh"}),
        ("config.json", {"layer_norm_eps": None}),
        ("config.json", {"hidden_dropout_prob": 1.5}),
        ("config.json", {"type_vocab_size": 0}),
    ],
    ids=str,
)
def test_what_only_one_side_would_read_is_refused_by_name(
    checkpoint: Path, file: str, values: dict[str, Any]
):
    changed(checkpoint / file, **values)
    with pytest.raises(InputError, match=rf"{file}: .*{next(iter(values)).strip('<>')}"):
        check_checkpoint(checkpoint, weights=False)


def test_what_the_usual_tokenizers_say_of_themselves_is_no_reason_to_refuse(checkpoint: Path):
    special = {"pad_token": "[PAD]", "unk_token": {"content": "[UNK]", "lstrip": False}}
    changed(checkpoint / "special_tokens_map.json", **special, additional_special_tokens=[])
    decoder = {"0": {"content": "[PAD]", "special": True}}
    more = {"never_split": None, "strip_accents": None, "model_max_length": 512}
    changed(checkpoint / "tokenizer_config.json", **special, **more, added_tokens_decoder=decoder)
    changed(checkpoint / "added_tokens.json", **{"[MASK]": 4})
    check_checkpoint(checkpoint, weights=False)


@pytest.mark.parametrize("spelling", ["bert.{}", "{}"])
def test_parameters_are_faced_with_the_configuration_before_a_model_is_built(
    checkpoint: Path, spelling: str
):
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    shapes = wanted_shapes(config, Labels((), ()), crf=False)
    arrays = {
        spelling.format(name.removeprefix("bert.")).replace("Norm.bias", "Norm.beta"): np.zeros(
            shape, np.float16
        )
        for name, shape in shapes.items()
        if name.startswith("bert.")
    }
    save_file(arrays, checkpoint / "model.safetensors")
    check_checkpoint(checkpoint, weights=True)
    for name, value, said in (
        ("vocab_size", 10**12, "word_embeddings.weight has shape"),
        ("num_hidden_layers", 10**12, r"layer\.2\.attention\.self\.query\.weight is missing"),
    ):
        changed(checkpoint / "config.json", **{**config, name: value})
        with pytest.raises(InputError, match=said):
            check_checkpoint(checkpoint, weights=True)
