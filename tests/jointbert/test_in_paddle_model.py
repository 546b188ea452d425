"""The port's model: its outputs, its initialiser, and which checkpoints it takes."""

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle

paddle = import_paddle()

from safetensors.numpy import load_file, save_file  # noqa: E402

from jointbert.in_paddle.bert import ACTIVATIONS, BertModel, Config  # noqa: E402
from jointbert.in_paddle.data import evaluation_batches, sample_batches  # noqa: E402
from jointbert.in_paddle.loss import intent_losses, slot_losses  # noqa: E402
from jointbert.in_paddle.model import JointBert, build_model  # noqa: E402
from modelparity.errors import InputError  # noqa: E402

Prepare = Callable[..., dict[str, Any]]
Arrays = dict[str, np.ndarray[Any, Any]]


def built(settings: dict[str, Any], seed: int = 0, dtype: str = "float64") -> JointBert:
    paddle.seed(seed)
    model = build_model(settings)
    model.to(dtype=dtype)
    model.eval()
    return model


def tensors(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: paddle.to_tensor(array) for name, array in batch.items()}


def near(a: Any, b: Any) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_have_their_shapes_and_the_models_precision(
    prepared: Prepare, crf: bool, dtype: str
):
    settings = prepared(crf=crf)
    model, batch = built(settings, dtype=dtype), tensors(sample_batches(settings)[0])
    outputs = model(**batch)
    rows, length = batch["input_ids"].shape
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "sequence_output": (rows, length, 64),
        "pooled_output": (rows, 64),
        "intent_logits": (rows, model.task.intents),
        "slot_logits": (rows, length, model.task.slots),
        "intent_loss": (),
        "slot_loss": (),
        "loss": (),
    }
    assert {str(value.dtype) for value in outputs.values()} == {f"paddle.{dtype}"}


@pytest.mark.parametrize("crf", [False, True])
def test_padding_changes_no_output(prepared: Prepare, crf: bool):
    settings = prepared(crf=crf)
    model, batch = built(settings), sample_batches(settings)[0]
    wide = {n: np.pad(a, ((0, 0), (0, 7))) if a.ndim == 2 else a for n, a in batch.items()}
    narrow_outputs, wide_outputs = model(**tensors(batch)), model(**tensors(wide))
    for name in ("pooled_output", "intent_logits", "loss"):
        near(narrow_outputs[name], wide_outputs[name])
    kept, width = batch["attention_mask"] == 1, batch["input_ids"].shape[1]
    logits = narrow_outputs["slot_logits"].numpy()
    near(logits[kept], wide_outputs["slot_logits"].numpy()[:, :width][kept])


def test_the_loss_weighs_the_slots_by_their_coefficient(prepared: Prepare):
    settings = prepared(slot_loss_coef=0.25)
    outputs = built(settings)(**tensors(sample_batches(settings)[0]))
    near(outputs["loss"], outputs["intent_loss"] + 0.25 * outputs["slot_loss"])


@pytest.mark.parametrize("ignored", [0, -100])
def test_the_slot_loss_counts_labelled_positions_only(prepared: Prepare, ignored: int):
    settings = prepared(ignore_index=ignored)
    batch = sample_batches(settings)[0]
    outputs = built(settings)(**tensors(batch))
    logits, labels = outputs["slot_logits"].numpy(), batch["slot_labels_ids"]
    logs = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    each = [-logs[row, t, labels[row, t]] for row, t in np.argwhere(labels != ignored)]
    near(outputs["slot_loss"], np.mean(each))


@pytest.mark.parametrize("crf", [False, True])
def test_an_examples_loss_does_not_depend_on_its_batch(prepared: Prepare, crf: bool):
    settings = prepared(crf=crf)
    model, batch = built(settings), tensors(sample_batches(settings)[0])
    outputs = model(**batch)
    together = intent_losses(outputs["intent_logits"], batch["intent_label_ids"]) + slot_losses(
        outputs["slot_logits"], batch["slot_labels_ids"], batch["attention_mask"], 0, model.crf
    )
    alone = [
        model(**{name: value[row : row + 1] for name, value in batch.items()})["loss"].item()
        for row in range(len(together))
    ]
    near(together, alone)


def test_the_padding_piece_is_looked_up_but_receives_no_gradient(prepared: Prepare):
    settings = prepared()
    model = built(settings)
    words = model.bert.embeddings.word_embeddings
    with paddle.no_grad():
        words.weight[0] = 0.5
    batch = tensors(next(iter(evaluation_batches(settings, "dev"))))
    assert (words(paddle.zeros([1, 2], dtype="int64")).numpy() == 0.5).all()
    # Padding's own output reaches this sum, as it never reaches the loss.
    model(**batch)["sequence_output"].sum().backward()
    gradient = words.weight.grad.numpy()
    assert not gradient[0].any()
    assert gradient.any()


@pytest.mark.parametrize("frozen", ["bias", "layer.0", "embeddings", "bert."])
def test_parameters_that_are_frozen_change_no_other_gradient(prepared: Prepare, frozen: str):
    settings = prepared()
    model = built(settings)
    batch = tensors(next(iter(evaluation_batches(settings, "dev"))))
    model(**batch)["loss"].backward()
    whole = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    model = built(settings)
    for name, p in model.named_parameters():
        p.stop_gradient = frozen in name
    model(**batch)["loss"].backward()
    for name, p in model.named_parameters():
        assert (p.grad is None) == (frozen in name), name
        if p.grad is not None:
            np.testing.assert_array_equal(p.grad.numpy(), whole[name])


def test_fresh_parameters_have_their_families(prepared: Prepare):
    model = built(prepared(crf=True), dtype="float32")
    for name, parameter in model.named_parameters():
        value = parameter.numpy()
        if name.startswith("crf."):
            assert 0.05 < np.abs(value).max() <= 0.1, name
        elif name.endswith("bias"):
            assert not value.any(), name
        elif "LayerNorm" in name:
            assert (value == 1).all(), name
        else:
            assert 0.08 < value.std() < 0.12, name
    assert not model.bert.embeddings.word_embeddings.weight[0].numpy().any()


def test_the_same_seed_builds_the_same_model(prepared: Prepare):
    settings = prepared(crf=True)
    a, b, c = (built(settings, seed).crf.transitions.numpy() for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_that_of_transformers(name: str):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("transformers.activations").ACT2FN[name]
    values = np.linspace(-6, 6, 101)
    found = ACTIVATIONS[name]()(paddle.to_tensor(values)).numpy()
    np.testing.assert_allclose(found, theirs(torch.tensor(values)).numpy(), atol=1e-14)


def test_an_unknown_activation_is_refused_by_name(prepared: Prepare):
    path = Path(prepared()["checkpoint"]) / "config.json"
    values = {**json.loads(path.read_text("utf-8")), "hidden_act": "gelu_fancy"}
    with pytest.raises(InputError, match=r"hidden_act 'gelu_fancy'; one of gelu, "):
        BertModel(Config(values))


def test_a_model_in_float64_is_in_float64_everywhere(prepared: Prepare):
    before = paddle.get_default_dtype()
    paddle.set_default_dtype("float64")
    try:
        model = build_model(prepared(crf=True))
    finally:
        paddle.set_default_dtype(before)
    assert {str(p.dtype) for p in model.parameters()} == {"paddle.float64"}


@pytest.fixture
def checkpoint(prepared: Prepare, tmp_path: Path) -> Path:
    """A checkpoint of the embedded model in float32 with all heads, laid out as torch's."""
    settings = prepared(crf=True)
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(Path(settings["checkpoint"]) / name, tmp_path / name)
    save_file(arrays(built(settings, 7, "float32")), weights(tmp_path))
    return tmp_path


def weights(directory: Path) -> Path:
    return directory / "model.safetensors"


def arrays(model: JointBert) -> Arrays:
    """Parameters in the layout of checkpoints: linear weights (out, in)."""
    linear = {
        f"{name}.weight"
        for name, layer in model.named_sublayers()
        if isinstance(layer, paddle.nn.Linear)
    }
    return {
        name: np.ascontiguousarray(p.numpy().T if name in linear else p.numpy())
        for name, p in model.named_parameters()
    }


def rewrite(directory: Path, change: Callable[[Arrays], Arrays]) -> Arrays:
    changed = change(load_file(weights(directory)))
    save_file(changed, weights(directory))
    return changed


def loaded(prepared: Prepare, directory: Path, **changes: Any) -> JointBert:
    return built(prepared(checkpoint=str(directory), **changes), 0, "float32")


def same(model: JointBert, saved: Mapping[str, Any], prefix: str = "bert.") -> bool:
    ours = {name: a for name, a in arrays(model).items() if name.startswith(prefix)}
    return bool(ours) and all(np.array_equal(a, saved[name]) for name, a in ours.items())


def test_a_whole_checkpoint_comes_back_exactly(prepared: Prepare, checkpoint: Path):
    assert same(loaded(prepared, checkpoint, crf=True), load_file(weights(checkpoint)), prefix="")


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_any_float_type_becomes_float32(prepared: Prepare, checkpoint: Path, dtype: str):
    cast = rewrite(checkpoint, lambda saved: {n: a.astype(dtype) for n, a in saved.items()})
    model = loaded(prepared, checkpoint, crf=True)
    assert {str(p.dtype) for p in model.parameters()} == {"paddle.float32"}
    assert same(model, {n: a.astype(np.float32) for n, a in cast.items()})


def test_bfloat16_becomes_the_float32_that_it_stands_for(prepared: Prepare, checkpoint: Path):
    saved = load_file(weights(checkpoint))
    halves = {name: (a.view(np.uint32) >> 16).astype("<u2") for name, a in saved.items()}
    header, data = {}, b""
    for name, half in halves.items():
        offsets = [len(data), len(data) + half.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(half.shape), "data_offsets": offsets}
        data += half.tobytes()
    text = json.dumps(header).encode()
    weights(checkpoint).write_bytes(struct.pack("<Q", len(text)) + text + data)
    expected = {n: (h.astype(np.uint32) << 16).view(np.float32) for n, h in halves.items()}
    assert same(loaded(prepared, checkpoint, crf=True), expected)


def test_an_encoder_without_prefix_and_with_old_names_is_understood(
    prepared: Prepare, checkpoint: Path
):
    saved = load_file(weights(checkpoint))

    def old(name: str) -> str:
        name = name.removeprefix("bert.")
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return name.replace("LayerNorm.bias", "LayerNorm.beta")

    rewrite(checkpoint, lambda all_: {old(n): a for n, a in all_.items() if n.startswith("bert.")})
    assert same(loaded(prepared, checkpoint), saved)


def test_heads_that_are_absent_are_fresh(prepared: Prepare, checkpoint: Path):
    rewrite(checkpoint, lambda all_: {n: a for n, a in all_.items() if n.startswith("bert.")})
    head = loaded(prepared, checkpoint).intent_classifier.linear
    assert head.weight.numpy().any()
    assert not head.bias.numpy().any()


def test_what_belongs_to_pretraining_is_passed_over(prepared: Prepare, checkpoint: Path):
    extra = {
        "cls.predictions.bias": np.zeros(3, np.float32),
        "cls.seq_relationship.weight": np.zeros((2, 64), np.float32),
        "bert.embeddings.position_ids": np.arange(64)[None],
    }
    saved = rewrite(checkpoint, lambda all_: {**all_, **extra})
    assert same(loaded(prepared, checkpoint, crf=True), saved)


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda saved: {n: a for n, a in saved.items() if n != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("bert.pooler.dense.bias"), r"bert\.pooler\.dense\.bias is missing"),
        (without("crf.transitions"), r"crf\.transitions is missing"),
        (
            lambda saved: {**saved, "bert.extra.weight": np.zeros(2, np.float32)},
            r"bert\.extra\.weight is not part of the model",
        ),
        (
            lambda saved: {**saved, "bert.pooler.dense.bias": np.zeros(63, np.float32)},
            r"bert\.pooler\.dense\.bias has shape \(63,\), the model \(64,\)",
        ),
        (
            lambda saved: {
                **saved,
                "bert.encoder.layer.0.output.dense.weight": np.zeros((128, 64), np.float32),
            },
            r"output\.dense\.weight has shape \(128, 64\), the model \(64, 128\)",
        ),
        (
            lambda saved: {**saved, "bert.pooler.dense.bias": np.zeros(64, np.int64)},
            r"bert\.pooler\.dense\.bias holds I64",
        ),
    ],
    ids=["encoder", "part of a head", "extra", "shape", "transposed", "integers"],
)
def test_a_parameter_that_does_not_fit_is_refused_by_name(
    prepared: Prepare, checkpoint: Path, change: Any, message: str
):
    rewrite(checkpoint, change)
    with pytest.raises(InputError, match=message) as caught:
        loaded(prepared, checkpoint, crf=True)
    assert "\n" not in str(caught.value)


def test_a_crf_in_the_checkpoint_is_never_dropped_in_silence(prepared: Prepare, checkpoint: Path):
    with pytest.raises(InputError, match=r"crf\.\w+ is not part of the model.*crf=true"):
        loaded(prepared, checkpoint, crf=False)


def test_the_real_checkpoint_arrives_bit_for_bit(prepared: Prepare, shared: Path):
    path = shared / "checkpoints" / "minilm-l6-h384-uncased"
    stored = load_file(weights(path))
    prefix = "" if any(name.startswith("bert.") for name in stored) else "bert."
    saved = {prefix + name: a.astype(np.float32) for name, a in stored.items()}
    assert same(loaded(prepared, path), saved)
