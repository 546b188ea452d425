"""The case: what prepare() resolves, and what it refuses in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from jointbert.case import (
    CASE,
    EMBEDDED_RATE,
    EMBEDDED_UPDATES,
    PRETRAINED_RATE,
    PRETRAINED_UPDATES,
    SETTINGS,
    prepare,
)
from jointbert.embedded import MARK
from jointbert.labels import Labels, read_labels
from jointbert.names import TRANSPOSED
from jointbert.parameters import wanted_shapes
from modelparity.cases import resolve_settings
from modelparity.errors import InputError, ParityError, UsageError


def prepare_with(directory: Path, **changes: Any) -> dict[str, Any]:
    return prepare({**SETTINGS, **changes}, directory)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small checkpoint whose weights are zero."""
    made = Path(str(prepare_with(tmp_path / "made")["checkpoint"]))
    (made / MARK).unlink()
    write_weights(made)
    return made.rename(tmp_path / "checkpoint")


def write_weights(checkpoint: Path):
    """Weights that fit the checkpoint's configuration."""
    config = json.loads((checkpoint / "config.json").read_text())
    shapes = wanted_shapes(config, Labels((), ()), crf=False)
    encoder = {n: np.zeros(s, np.float32) for n, s in shapes.items() if n.startswith("bert.")}
    save_file(encoder, checkpoint / "model.safetensors")


def test_importing_the_case_loads_no_framework():
    program = (
        "import sys, jointbert.case;"
        "print(sorted({'torch', 'paddle', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_preparing_loads_no_framework(tmp_path: Path):
    program = (
        "import sys, pathlib; from jointbert.case import SETTINGS, prepare;"
        "prepare(dict(SETTINGS), pathlib.Path(sys.argv[1]));"
        "print(sorted({'torch', 'paddle', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_embedded_inputs_are_written_where_the_settings_say(tmp_path: Path):
    ready = prepare_with(tmp_path)
    assert (ready["data"], ready["checkpoint"]) == (str(tmp_path / "task"), str(tmp_path / "model"))
    assert (tmp_path / "task" / "train" / "seq.in").exists()
    assert (tmp_path / "model" / "config.json").exists()


def test_preparing_a_result_again_changes_nothing(tmp_path: Path):
    ready = prepare_with(tmp_path)
    assert prepare(dict(ready), tmp_path) == ready


def test_a_result_may_be_prepared_for_another_directory(tmp_path: Path):
    ready = prepare_with(tmp_path / "here")
    assert prepare(dict(ready), tmp_path / "there") == ready


def test_the_embedded_model_follows_changed_settings(tmp_path: Path):
    prepare_with(tmp_path)
    prepare_with(tmp_path, layers=3)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["num_hidden_layers"] == 3


def test_the_arguments_are_left_alone(tmp_path: Path):
    given = dict(SETTINGS)
    prepare(given, tmp_path)
    assert given == dict(SETTINGS)


def test_the_learning_rate_is_chosen_by_what_is_trained(tmp_path: Path, checkpoint: Path):
    assert prepare_with(tmp_path)["learning_rate"] == EMBEDDED_RATE
    pretrained = prepare_with(tmp_path, checkpoint=str(checkpoint))
    assert pretrained["learning_rate"] == PRETRAINED_RATE
    assert prepare_with(tmp_path, learning_rate=5e-5)["learning_rate"] == 5e-5


def test_the_updates_before_step_3_are_chosen_by_what_is_trained(tmp_path: Path, checkpoint: Path):
    assert prepare_with(tmp_path)["trained_updates"] == EMBEDDED_UPDATES
    pretrained = prepare_with(tmp_path, checkpoint=str(checkpoint))
    assert pretrained["trained_updates"] == PRETRAINED_UPDATES
    assert prepare_with(tmp_path, trained_updates=7)["trained_updates"] == 7


def test_the_embedded_model_runs_on_one_thread_unless_told_otherwise(
    tmp_path: Path, checkpoint: Path
):
    assert prepare_with(tmp_path)["threads"] == 1
    assert prepare_with(tmp_path, threads=2)["threads"] == 2
    assert prepare_with(tmp_path, checkpoint=str(checkpoint))["threads"] == 0


def test_only_a_checkpoint_of_the_user_is_pretrained(tmp_path: Path, checkpoint: Path):
    assert prepare_with(tmp_path)["pretrained"] is False
    assert prepare_with(tmp_path, checkpoint=str(checkpoint))["pretrained"] is True


def test_the_embedded_model_has_positions_for_the_longest_sentence(tmp_path: Path):
    prepare_with(tmp_path, max_seq_len=100)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["max_position_embeddings"] == 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cosine"}, "schedule: 'cosine'; one of linear, constant"),
        ({"attention": "flash"}, "attention: 'flash'; one of eager, sdpa"),
        ({"batch_size": 0}, "batch_size: 0; it must be above 0"),
        ({"eval_batch_size": -1}, "eval_batch_size: -1; it must be above 0"),
        ({"epochs": 0}, "epochs: 0"),
        ({"learning_rate": -1e-3}, "learning_rate: -0.001; it must be 0 or above"),
        ({"learning_rate": float("nan")}, "learning_rate: nan"),
        ({"max_grad_norm": 0.0}, "max_grad_norm: 0.0; it must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay: -0.1"),
        ({"warmup_steps": -1}, "warmup_steps: -1"),
        ({"dropout": 1.0}, r"dropout: 1.0; it must be in \[0, 1\)"),
        ({"max_seq_len": 2}, "max_seq_len: 2; .* need 3"),
        ({"hidden": 62}, "hidden: 62 is not a multiple of 4 heads"),
        ({"ignore_index": 1}, "ignore_index: 1 is 'UNK'"),
        ({"ignore_index": 999}, "ignore_index: 999 is no label at all"),
        ({"ignore_index": -100, "crf": True}, "ignore_index: -100; the CRF"),
        ({"crf": 1}, "crf: 1 is not true or false"),
        ({"batch_size": "32"}, "batch_size: '32' is not a whole number"),
        ({"batchsize": 32}, "batchsize: unknown; one of "),
    ],
)
def test_a_setting_out_of_range_is_refused(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message) as caught:
        prepare_with(tmp_path, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["data", "checkpoint"])
def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path, setting: str):
    with pytest.raises(InputError, match=f"{setting} .*nowhere: no such directory"):
        prepare_with(tmp_path, **{setting: str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train/seq.out", "O\nO\nO O B-city I-city\n", r"seq\.out:2: 1 slot labels for 2 words"),
        ("dev/label", "stop\nplay\n", r"label: 2 lines, but seq\.in has 3"),
        ("test/seq.in", "", r"seq\.in: no sentences"),
        ("test/seq.in", "stop\n \ngo to New York\n", r"seq\.in:2: empty sentence"),
        ("dev/label", "stop\n\ngo\n", r"label:2: no intent"),
        ("dev/seq.out", "PAD\nO B-artist\nO O O O\n", r"seq\.out:1: PAD stands for padding"),
        ("intent_label.txt", "UNK\nstop\ngo\n", r"label:2: label 'play' is not in intent_label"),
        ("slot_label.txt", "PAD\nUNK\nO\nB-artist\n", r"seq\.out:3: label 'B-city' is not in slot"),
    ],
)
def test_a_spoilt_task_is_refused_with_file_and_line(
    tmp_path: Path, task: Path, file: str, text: str, message: str
):
    (task / file).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        prepare_with(tmp_path, data=str(task))
    assert "\n" not in str(caught.value)


def test_a_missing_split_file_is_refused(tmp_path: Path, task: Path):
    (task / "dev" / "seq.out").unlink()
    with pytest.raises(InputError, match=r"dev.seq\.out: no such file"):
        prepare_with(tmp_path, data=str(task))


def test_a_label_that_only_dev_has_is_no_error(tmp_path: Path, task: Path):
    (task / "dev" / "label").write_text("stop\nsing\ngo\n")
    assert prepare_with(tmp_path, data=str(task))["data"] == str(task)


def test_the_user_s_data_are_left_as_they_are(tmp_path: Path, task: Path):
    before = sorted(task.rglob("*"))
    ready = prepare_with(tmp_path, data=str(task))
    read_labels(str(ready["data"]))
    assert sorted(task.rglob("*")) == before


def test_whether_weights_are_loaded_is_no_setting():
    with pytest.raises(UsageError, match="--set pretrained: case jointbert has no such setting"):
        resolve_settings(CASE, {"pretrained": "true"}, Path())


@pytest.mark.parametrize("file", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_checkpoint_without_one_of_its_files_is_refused(
    tmp_path: Path, checkpoint: Path, file: str
):
    (checkpoint / file).unlink()
    with pytest.raises(InputError, match=rf"{file}: no such file"):
        prepare_with(tmp_path, checkpoint=str(checkpoint))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"hidden_size": None}, "hidden_size is None; it must be a whole number"),
        ({"num_attention_heads": 5}, "hidden_size 64 is not a multiple of 5 heads"),
        ({"vocab_size": 10}, "pieces, but config.json says vocab_size 10"),
        ({"pad_token_id": 3}, r"vocab\.txt:1: \[PAD\] stands here"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    tmp_path: Path, checkpoint: Path, change: dict[str, Any], message: str
):
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message):
        prepare_with(tmp_path, checkpoint=str(checkpoint))


def test_fewer_positions_than_pieces_are_refused(tmp_path: Path, checkpoint: Path):
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": 20}))
    write_weights(checkpoint)
    with pytest.raises(InputError, match="has 20 positions, but max_seq_len is 50"):
        prepare_with(tmp_path, checkpoint=str(checkpoint))


def test_a_configuration_that_is_no_json_is_refused(tmp_path: Path, checkpoint: Path):
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: cannot be read as JSON"):
        prepare_with(tmp_path, checkpoint=str(checkpoint))


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_corrupt_weights_file_is_refused(tmp_path: Path, checkpoint: Path, content: bytes):
    (checkpoint / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: "):
        prepare_with(tmp_path, checkpoint=str(checkpoint))


def test_a_truncated_weights_file_is_refused(tmp_path: Path, checkpoint: Path):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="not a safetensors file"):
        prepare_with(tmp_path, checkpoint=str(checkpoint))


def test_the_real_tasks_and_checkpoint_are_accepted(tmp_path: Path, shared: Path):
    checkpoint = str(shared / "checkpoints" / "minilm-l6-h384-uncased")
    for name in ("atis", "snips"):
        data = str(shared / "data" / name)
        try:
            ready = prepare_with(tmp_path, data=data, checkpoint=checkpoint, crf=True)
        except ParityError as error:
            pytest.fail(str(error))
        assert ready["pretrained"] is True


def test_every_variant_changes_settings_that_exist():
    for variants in CASE.variants.values():
        for change in variants:
            assert set(change) <= set(SETTINGS)


def test_no_weight_is_transposed_twice():
    assert len(set(TRANSPOSED)) == len(TRANSPOSED) == len(CASE.rules)
