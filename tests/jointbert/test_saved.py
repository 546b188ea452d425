"""A saved model's directory: in Hugging Face layout, whole, and refused where it is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from saving import save

pytest.importorskip("torch", reason="the models are made by PyTorch")

from jointbert import saved
from jointbert.labels import read_labels
from modelparity.errors import InputError

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def model(tmp_path: Path, prepared: Callable[..., Any]) -> Path:
    return save(tmp_path / "model", "torch", prepared(crf=True, max_seq_len=40))


def test_the_directory_says_all_about_the_model(model: Path, prepared: Callable[..., Any]):
    found = saved.read(model)
    assert found.labels == read_labels(prepared()["data"]) == read_labels(model)
    assert (found.crf, found.max_seq_len, found.ignore_index) == (True, 40, 0)


def test_nothing_in_the_directory_is_pickled(model: Path):
    names = {path.name for path in model.iterdir()}
    assert names == {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}


def test_hugging_face_loads_the_encoder(model: Path):
    from transformers import BertModel

    bert, report = BertModel.from_pretrained(model, output_loading_info=True)
    assert not report["missing_keys"]
    assert bert.config.num_hidden_layers == 2


def changed(model: Path, change: Change) -> None:
    path = model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("jointbert"), "no section 'jointbert'"),
        (lambda c: c["jointbert"].update(format=9), "format 9, this release reads 1"),
        (lambda c: c["jointbert"].pop("slots"), "lacks 'slots'"),
        (lambda c: c.update(model_type="roberta"), "model_type"),
        (lambda c: c["jointbert"].update(crf="yes"), "crf: 'yes' is not true or false"),
        (lambda c: c["jointbert"].update(dropout=2.0), "dropout: 2.0"),
        (lambda c: c["jointbert"].update(max_seq_len=65), "65"),
        (lambda c: c["jointbert"].update(intents=7), "labels cannot be read"),
        (lambda c: c["jointbert"]["intents"].remove("UNK"), "not those that were saved"),
        (lambda c: c["jointbert"]["slots"].append("O"), "not those that were saved"),
        (lambda c: c["jointbert"]["slots"].reverse(), "not those that were saved"),
        (lambda c: c["jointbert"]["slots"].append("B-more"), r"slot_classifier.* has shape"),
        (lambda c: c.update(num_hidden_layers=1), r"layer\.1\..* is not part of the model"),
        (lambda c: c.update(vocab_size=10**9), r"word_embeddings\.weight has shape"),
    ],
)
def test_another_config_is_refused(model: Path, change: Change, message: str):
    changed(model, change)
    with pytest.raises(InputError, match=message):
        saved.read(model)


def test_a_model_without_its_heads_is_refused(model: Path, prepared: Callable[..., Any]):
    other = save(model.with_name("other"), "torch", prepared(crf=False))
    (other / "model.safetensors").replace(model / "model.safetensors")
    with pytest.raises(InputError, match=r"crf\.transitions is missing"):
        saved.read(model)


@pytest.mark.parametrize("name", ["", "./none", "/none/at/all", "a/b/c"])
def test_a_directory_that_is_not_there_is_named(name: str):
    with pytest.raises(InputError, match="no such directory"):
        saved.read(name)
