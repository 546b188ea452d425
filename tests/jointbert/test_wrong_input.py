"""Wrong input, through the real command: exit 2, one line that names the place, nothing written."""

import importlib.util
import json
import shutil
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from command import modelparity, refusal
from jointbert.case import SETTINGS
from jointbert.embedded import MARK, write_model

HIDDEN, INNER, POSITIONS = 8, 16, 64
QUERY = "encoder.layer.0.attention.self.query.weight"
SHORT = ("--steps", "2", "--quiet")


def shapes(pieces):
    """The parameters of a BERT encoder of one layer."""
    layer, h = "encoder.layer.0.", HIDDEN
    linear = {
        **{f"{layer}attention.self.{name}": (h, h) for name in ("query", "key", "value")},
        f"{layer}attention.output.dense": (h, h),
        f"{layer}intermediate.dense": (INNER, h),
        f"{layer}output.dense": (h, INNER),
        "pooler.dense": (h, h),
    }
    rows = {"word": pieces, "position": POSITIONS, "token_type": 2}
    found = {f"embeddings.{name}_embeddings.weight": (n, h) for name, n in rows.items()}
    for name, shape in linear.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in ("embeddings", f"{layer}attention.output", f"{layer}output"):
        found |= {f"{name}.LayerNorm.weight": (h,), f"{name}.LayerNorm.bias": (h,)}
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A whole checkpoint of one layer, and the reference's recordings made from it."""
    directory = tmp_path_factory.mktemp("sound")
    checkpoint = directory / "checkpoint"
    sizes = {"layers": 1, "hidden": HIDDEN, "heads": 2, "intermediate": INNER}
    write_model(checkpoint, {**SETTINGS, **sizes})
    (checkpoint / MARK).unlink()
    rng = np.random.default_rng(0)
    pieces = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
    arrays = {n: rng.normal(0, 0.1, s).astype(np.float32) for n, s in shapes(pieces).items()}
    save_file(arrays, checkpoint / "model.safetensors")
    return directory


@pytest.fixture
def checkpoint(sound, tmp_path):
    """A copy, to be spoilt."""
    return shutil.copytree(sound / "checkpoint", tmp_path / "checkpoint")


def respoken(checkpoint, change):
    """Let `change` edit the arrays of a checkpoint."""
    path = checkpoint / "model.safetensors"
    arrays = load_file(path)
    change(arrays)
    path.unlink()
    save_file(arrays, path)


# Data


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("train/seq.out", "O\nO B-artist\nO O B-city I-city B-city\n", "seq.out:3: 5 slot labels"),
        ("test/seq.out", "O\nO B-artist\n", "seq.out: 2 lines, but seq.in has 3"),
        ("dev/seq.in", "stop\nplay Björk\n", "seq.out: 3 lines, but seq.in has 2"),
        ("dev/label", "stop\nplay\ngo\ngo\n", "label: 4 lines, but seq.in has 3"),
        (
            "slot_label.txt",
            "PAD\nUNK\nO\nB-artist\n",
            "seq.out:3: label 'B-city' is not in slot_la",
        ),
        ("intent_label.txt", "UNK\nstop\ngo\n", "label:2: label 'play' is not in intent_label.txt"),
        ("slot_label.txt", "UNK\nPAD\nO\n", "slot_label.txt:1: the first label must be PAD"),
        ("train/seq.in", "", "seq.in: no sentences"),
    ],
)
def test_data_that_disagree_with_themselves_are_refused(tmp_path, task, file, text, said):
    (task / file).write_text(text, encoding="utf-8")
    line = refusal(tmp_path, "run", "jointbert", *SHORT, "--set", f"data={task}")
    assert said in line
    assert str(task) in line


def test_data_that_are_no_text_are_refused(tmp_path, task):
    (task / "dev" / "seq.in").write_bytes(b"stop\nplay Bj\xf6rk\ngo to New York\n")
    line = refusal(tmp_path, "run", "jointbert", *SHORT, "--set", f"data={task}")
    assert "seq.in:2: byte 12 is not UTF-8" in line


def test_a_split_that_lacks_a_file_is_refused(tmp_path, task):
    (task / "test" / "seq.out").unlink()
    line = refusal(tmp_path, "run", "jointbert", *SHORT, "--set", f"data={task}")
    assert f"{task / 'test' / 'seq.out'}: no such file" in line


# Settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data=nowhere", "data nowhere: no such directory"),
        ("checkpoint=nowhere", "checkpoint nowhere: no such directory"),
        ("chekpoint=x", "--set chekpoint: case jointbert has no such setting"),
        ("pretrained=false", "--set pretrained: case jointbert has no such setting"),
        ("batch_size=many", "--set batch_size=many: expected a whole number"),
        ("crf=yes", "--set crf=yes: expected true or false"),
        ("dropout=1.5", "setting dropout: 1.5; it must be in [0, 1)"),
        ("schedule=cosine", "setting schedule: 'cosine'; one of linear, constant"),
        ("max_seq_len=2", "setting max_seq_len: 2"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, change, said):
    assert said in refusal(tmp_path, "run", "jointbert", *SHORT, "--set", change)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--steps", "11"), "--steps 11: the steps are 1 to 10"),
        (("--fault", "gremlin"), "no such fault; modelparity faults jointbert lists its "),
        (("--fault", "adam-epsilon"), "no such fault; did you mean adam-eps"),
        (("--candidate", "no.where"), "side no.where: there is no module no"),
        (("--reference", "no.where"), "side no.where: there is no module no"),
        (("--reference-python", "no/python"), "no/python: cannot be started"),
    ],
)
def test_a_name_of_nothing_is_refused(tmp_path, arguments, said):
    assert said in refusal(tmp_path, "run", "jointbert", "--quiet", *arguments)


def test_an_earlier_run_is_left_as_it_was(tmp_path):
    (tmp_path / "out" / "jointbert").mkdir(parents=True)
    (tmp_path / "out" / "jointbert" / "report.json").write_text("earlier")
    refusal(tmp_path, "run", "jointbert", *SHORT, "--set", "data=nowhere")
    assert (tmp_path / "out" / "jointbert" / "report.json").read_text() == "earlier"


# Checkpoints


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda content: b"", "not a safetensors file"),
        (lambda content: b"\xff" * 64, "not a safetensors file"),
        (lambda content: content[:-4], "not a safetensors file"),
        (lambda content: content[:100], "not a safetensors file"),
        (lambda content: struct.pack("<Q", 2) + b"{}", "holds no parameters"),
    ],
    ids=["empty", "garbage", "last bytes lost", "header cut", "no parameters"],
)
def test_a_corrupt_weights_file_is_refused(tmp_path, checkpoint, spoil, said):
    path = checkpoint / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    line = refusal(tmp_path, "run", "jointbert", *SHORT, "--set", f"checkpoint={checkpoint}")
    assert f"{path}: {said}" in line


def _without(name):
    return lambda arrays: arrays.pop(name)


def _with(name, shape):
    return lambda arrays: arrays.update({name: np.zeros(shape, np.float32)})


PARAMETERS = [
    (_without(QUERY), f"bert.{QUERY} is missing"),
    (
        _with("encoder.layer.1.output.dense.bias", (HIDDEN,)),
        "layer.1.output.dense.bias is not part",
    ),
    (_with(QUERY, (HIDDEN, HIDDEN + 1)), f"bert.{QUERY} has shape (8, 9), the model (8, 8)"),
]
SPOILT = ["missing", "extra", "mis-shaped"]


@pytest.mark.parametrize(("change", "said"), PARAMETERS, ids=SPOILT)
def test_the_reference_refuses_a_wrong_parameter(tmp_path, checkpoint, change, said):
    pytest.importorskip("torch", reason="the reference needs PyTorch")
    respoken(checkpoint, change)
    how = ("--side", "reference", "--out", "r", "--set", f"checkpoint={checkpoint}")
    line = refusal(tmp_path, "record", "jointbert", *SHORT, *how)
    assert f"{checkpoint / 'model.safetensors'}: " in line
    assert said in line


@pytest.fixture(scope="module")
def given(sound):
    """The reference's recordings of the sound checkpoint."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("paddle") is None:
        pytest.skip("the candidate is given what the reference recorded: both frameworks needed")
    how = ("--side", "reference", "--out", "given", "--set", "checkpoint=checkpoint")
    run = modelparity(sound, "record", "jointbert", *SHORT, *how)
    assert run.returncode == 0, run.stderr
    return sound / "given"


@pytest.mark.parametrize(("change", "said"), PARAMETERS, ids=SPOILT)
def test_the_candidate_refuses_a_wrong_parameter(tmp_path, checkpoint, given, change, said):
    respoken(checkpoint, change)
    how = ("--side", "candidate", "--given", given, "--out", "c")
    how += ("--set", f"checkpoint={checkpoint}")
    line = refusal(tmp_path, "record", "jointbert", *SHORT, *how)
    assert f"{checkpoint / 'model.safetensors'}: " in line
    assert said in line
