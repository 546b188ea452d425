"""The reference model: its outputs, its initialiser, and which checkpoints it takes."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch.nn import functional  # noqa: E402

from jointbert.in_torch.data import evaluation_batches, sample_batches  # noqa: E402
from jointbert.in_torch.loss import intent_losses, slot_losses  # noqa: E402
from jointbert.in_torch.model import JointBert, build_model  # noqa: E402
from modelparity.errors import InputError  # noqa: E402

Prepare = Callable[..., dict[str, Any]]


def built(settings: dict[str, Any], seed: int = 0, dtype=torch.float64) -> JointBert:
    torch.manual_seed(seed)
    return build_model(settings).to(dtype).eval()


def tensors(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_have_their_shapes_and_the_models_precision(prepared: Prepare, crf: bool, dtype):
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
    assert {value.dtype for value in outputs.values()} == {dtype}


@pytest.mark.parametrize("crf", [False, True])
def test_padding_changes_no_output(prepared: Prepare, crf: bool):
    settings = prepared(crf=crf)
    model = built(settings)
    batch = tensors(sample_batches(settings)[0])
    wide = {
        name: functional.pad(value, (0, 7)) if value.dim() == 2 else value
        for name, value in batch.items()
    }
    narrow_outputs, wide_outputs = model(**batch), model(**wide)
    kept = batch["attention_mask"] == 1
    for name in ("pooled_output", "intent_logits", "loss"):
        torch.testing.assert_close(narrow_outputs[name], wide_outputs[name])
    width = batch["input_ids"].shape[1]
    torch.testing.assert_close(
        narrow_outputs["slot_logits"][kept], wide_outputs["slot_logits"][:, :width][kept]
    )


def test_the_loss_weighs_the_slots_by_their_coefficient(prepared: Prepare):
    settings = prepared(slot_loss_coef=0.25)
    outputs = built(settings)(**tensors(sample_batches(settings)[0]))
    expected = outputs["intent_loss"] + 0.25 * outputs["slot_loss"]
    torch.testing.assert_close(outputs["loss"], expected)


def test_the_slot_loss_counts_labelled_positions_only(prepared: Prepare):
    settings = prepared()
    batch = tensors(sample_batches(settings)[0])
    outputs = built(settings)(**batch)
    labels = batch["slot_labels_ids"]
    logs = torch.log_softmax(outputs["slot_logits"], 2)
    each = [
        -logs[row, t, labels[row, t]]
        for row in range(labels.shape[0])
        for t in range(labels.shape[1])
        if labels[row, t] != 0
    ]
    torch.testing.assert_close(outputs["slot_loss"], torch.stack(each).mean())


@pytest.mark.parametrize("crf", [False, True])
def test_an_examples_loss_does_not_depend_on_its_batch(prepared: Prepare, crf: bool):
    settings = prepared(crf=crf)
    model = built(settings)
    batch = tensors(sample_batches(settings)[0])
    outputs = model(**batch)
    together = intent_losses(outputs["intent_logits"], batch["intent_label_ids"]) + slot_losses(
        outputs["slot_logits"], batch["slot_labels_ids"], batch["attention_mask"], 0, model.crf
    )
    alone = [
        model(**{name: value[row : row + 1] for name, value in batch.items()})["loss"]
        for row in range(len(together))
    ]
    torch.testing.assert_close(together, torch.stack(alone))


def test_the_padding_piece_receives_no_gradient(prepared: Prepare):
    settings = prepared()
    model = built(settings)
    batch = tensors(next(iter(evaluation_batches(settings, "dev"))))
    model(**batch)["loss"].backward()
    gradient = model.bert.embeddings.word_embeddings.weight.grad
    assert not gradient[0].any()
    assert gradient.any()


def test_both_attention_implementations_agree(prepared: Prepare):
    eager, fused = prepared(), prepared(attention="sdpa")
    batch = tensors(sample_batches(eager)[0])
    torch.testing.assert_close(built(eager)(**batch)["loss"], built(fused)(**batch)["loss"])


def test_fresh_parameters_have_their_families(prepared: Prepare):
    model = built(prepared(crf=True), dtype=torch.float32)
    for name, value in model.named_parameters():
        if name.startswith("crf."):
            assert 0.05 < value.abs().max() <= 0.1, name
        elif name.endswith("bias"):
            assert not value.any(), name
        elif "LayerNorm" in name:
            assert (value == 1).all(), name
        else:
            assert 0.08 < value.std() < 0.12, name
    assert not model.bert.embeddings.word_embeddings.weight[0].any()


def test_the_same_seed_builds_the_same_model(prepared: Prepare):
    settings = prepared(crf=True)
    a, b, c = built(settings, 1), built(settings, 1), built(settings, 2)
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)
    assert not torch.equal(a.crf.transitions, c.crf.transitions)


@pytest.fixture
def checkpoint(prepared: Prepare, tmp_path: Path) -> Path:
    """A checkpoint of the embedded model, saved in float32 with all heads."""
    settings = prepared(crf=True)
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(Path(settings["checkpoint"]) / name, tmp_path / name)
    model = built(settings, 7, torch.float32)
    save_file({n: v.clone() for n, v in model.state_dict().items()}, weights(tmp_path))
    return tmp_path


def weights(directory: Path) -> Path:
    return directory / "model.safetensors"


def rewrite(directory: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    changed = change(load_file(weights(directory)))
    save_file(changed, weights(directory))
    return changed


def loaded(prepared: Prepare, directory: Path, **changes: Any) -> JointBert:
    return built(prepared(checkpoint=str(directory), **changes), 0, torch.float32)


def same_encoder(model: JointBert, saved: Mapping[str, Any]) -> bool:
    return all(torch.equal(v, saved[f"bert.{n}"]) for n, v in model.bert.named_parameters())


def test_a_whole_checkpoint_comes_back_exactly(prepared: Prepare, checkpoint: Path):
    saved = load_file(weights(checkpoint))
    model = loaded(prepared, checkpoint, crf=True)
    assert all(torch.equal(v, saved[n]) for n, v in model.named_parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_becomes_float32(prepared: Prepare, checkpoint: Path, dtype):
    cast = rewrite(checkpoint, lambda saved: {n: v.to(dtype) for n, v in saved.items()})
    model = loaded(prepared, checkpoint, crf=True)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert same_encoder(model, {n: v.float() for n, v in cast.items()})


def test_an_encoder_without_prefix_and_with_old_names_is_understood(
    prepared: Prepare, checkpoint: Path
):
    saved = load_file(weights(checkpoint))

    def old(name: str) -> str:
        name = name.removeprefix("bert.")
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return name.replace("LayerNorm.bias", "LayerNorm.beta")

    rewrite(checkpoint, lambda all_: {old(n): v for n, v in all_.items() if n.startswith("bert.")})
    assert same_encoder(loaded(prepared, checkpoint), saved)


def test_heads_that_are_absent_are_fresh(prepared: Prepare, checkpoint: Path):
    rewrite(checkpoint, lambda all_: {n: v for n, v in all_.items() if n.startswith("bert.")})
    head = loaded(prepared, checkpoint).intent_classifier.linear
    assert head.weight.any()
    assert not head.bias.any()


def test_what_belongs_to_pretraining_is_passed_over(prepared: Prepare, checkpoint: Path):
    extra = {
        "cls.predictions.bias": torch.zeros(3),
        "cls.seq_relationship.weight": torch.zeros(2, 64),
        "bert.embeddings.position_ids": torch.arange(64).unsqueeze(0),
    }
    saved = rewrite(checkpoint, lambda all_: {**all_, **extra})
    assert same_encoder(loaded(prepared, checkpoint, crf=True), saved)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda saved: {n: v for n, v in saved.items() if n != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("bert.pooler.dense.bias"), r"bert\.pooler\.dense\.bias is missing"),
        (without("crf.transitions"), r"crf\.transitions is missing"),
        (
            lambda saved: {**saved, "bert.extra.weight": torch.zeros(2)},
            r"bert\.extra\.weight is not part of the model",
        ),
        (
            lambda saved: {**saved, "bert.pooler.dense.bias": torch.zeros(63)},
            r"bert\.pooler\.dense\.bias has shape \(63,\), the model \(64,\)",
        ),
        (
            lambda saved: {**saved, "bert.pooler.dense.bias": torch.zeros(64, dtype=torch.int64)},
            r"bert\.pooler\.dense\.bias holds torch\.int64",
        ),
    ],
    ids=["encoder", "part of a head", "extra", "shape", "integers"],
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


def test_the_real_checkpoint_is_what_hugging_face_loads(prepared: Prepare, shared: Path):
    transformers = pytest.importorskip("transformers")
    path = str(shared / "checkpoints" / "minilm-l6-h384-uncased")
    theirs = transformers.BertModel.from_pretrained(path, dtype=torch.float32)
    ours = loaded(prepared, Path(path))
    expected = dict(theirs.named_parameters())
    assert {n for n, _ in ours.bert.named_parameters()} == set(expected)
    assert all(torch.equal(v, expected[n]) for n, v in ours.bert.named_parameters())
