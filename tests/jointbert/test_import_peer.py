"""Models of the implementation in wide use: taken over, and nothing pickled is run."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saving import save

torch = pytest.importorskip("torch", reason="their parameters are PyTorch's")

from safetensors.numpy import load_file, save_file  # noqa: E402
from safetensors.torch import save_file as save_torch  # noqa: E402

from jointbert import saved  # noqa: E402
from jointbert.import_peer import import_peer  # noqa: E402
from jointbert.parser import Parser  # noqa: E402
from modelparity.errors import InputError, UsageError  # noqa: E402


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture(params=[False, True], ids=["softmax", "crf"])
def ours(request: pytest.FixtureRequest, tmp_path: Path, prepared: Callable[..., Any]) -> Path:
    return save(tmp_path / "ours", "torch", prepared(crf=request.param))


@pytest.fixture
def peer(ours: Path, tmp_path: Path) -> Path:
    """The same model as their trainer leaves it, beside a trap in its arguments."""
    directory = tmp_path / "peer"
    directory.mkdir()
    config = json.loads((ours / "config.json").read_text(encoding="utf-8"))
    section = config.pop("jointbert")
    (directory / "config.json").write_text(json.dumps(config))
    for name, labels in (("intent", section["intents"]), ("slot", section["slots"])):
        text = "".join(f"{label}\n" for label in labels)
        (directory / f"{name}_label.txt").write_text(text, encoding="utf-8")
    (directory / "vocab.txt").write_bytes((ours / "vocab.txt").read_bytes())
    (directory / "training_args.bin").write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    arrays = load_file(ours / "model.safetensors")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors["bert.embeddings.position_ids"] = torch.arange(64).unsqueeze(0)
    torch.save(tensors, directory / "pytorch_model.bin")
    return directory


def arrays_of(model: Path) -> dict[str, Any]:
    return {name: array.tolist() for name, array in load_file(model / saved.WEIGHTS).items()}


def test_a_model_of_theirs_becomes_one_of_ours(peer: Path, ours: Path, tmp_path: Path):
    import_peer(peer, tmp_path / "out", peer, "", 50)
    assert arrays_of(tmp_path / "out") == arrays_of(ours)
    found, expected = (Parser.from_pretrained(x, threads=1) for x in (tmp_path / "out", ours))
    texts = ["play Björk at noon", "take me to gate B twelve"]
    assert found.parse(texts) == expected.parse(texts)


def test_their_arguments_are_never_opened(peer: Path, tmp_path: Path):
    import_peer(peer, tmp_path / "out", peer, "", 50)
    assert not (tmp_path / "mark").exists()


def test_the_trap_would_have_been_seen(peer: Path, tmp_path: Path):
    pickle.loads((peer / "training_args.bin").read_bytes())
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("whole", [True, False])
def test_code_in_their_parameters_is_refused_and_not_run(peer: Path, tmp_path: Path, whole: bool):
    trap: Any = Trap(tmp_path / "mark")
    torch.save(trap if whole else {"bert": trap}, peer / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin: the pickle asks for \w+\.mkdir"):
        import_peer(peer, tmp_path / "out", peer, "", 50)
    assert not (tmp_path / "mark").exists()
    assert not (tmp_path / "out").exists()


def test_safetensors_of_old_names_are_taken_over(peer: Path, ours: Path, tmp_path: Path):
    (peer / "pytorch_model.bin").unlink()
    old = {
        n.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): a
        for n, a in load_file(ours / "model.safetensors").items()
    }
    save_file(old, peer / "model.safetensors")
    import_peer(peer, tmp_path / "out", peer, "", 50)
    assert arrays_of(tmp_path / "out") == arrays_of(ours)


def test_labels_of_another_task_are_refused(peer: Path, tmp_path: Path):
    with (peer / "slot_label.txt").open("a") as file:
        file.write("B-more\n")
    with pytest.raises(InputError, match=r"slot_label\.txt: \d+ labels, but the model has"):
        import_peer(peer, tmp_path / "out", peer, "", 50)


def test_a_missing_vocabulary_says_which_option_names_it(peer: Path, ours: Path, tmp_path: Path):
    (peer / "vocab.txt").unlink()
    with pytest.raises(InputError, match="--tokenizer"):
        import_peer(peer, tmp_path / "out", peer, "", 50)
    import_peer(peer, tmp_path / "out", peer, str(ours), 50)


def test_a_model_that_is_there_is_not_written_over(peer: Path, ours: Path):
    before = (ours / "model.safetensors").read_bytes()
    with pytest.raises(UsageError, match="holds a model already"):
        import_peer(peer, ours, peer, "", 50)
    assert (ours / "model.safetensors").read_bytes() == before


def test_a_file_that_is_none_of_theirs_is_named(peer: Path, tmp_path: Path):
    (peer / "pytorch_model.bin").write_bytes(np.zeros(9).tobytes())
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        import_peer(peer, tmp_path / "out", peer, "", 50)


def test_bfloat16_is_taken_over_as_float32(peer: Path, ours: Path, tmp_path: Path):
    (peer / "pytorch_model.bin").unlink()
    tensors = {n: torch.from_numpy(a) for n, a in load_file(ours / "model.safetensors").items()}
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    save_torch(halves, peer / "model.safetensors")
    import_peer(peer, tmp_path / "out", peer, "", 50)
    assert arrays_of(tmp_path / "out") == {n: t.float().tolist() for n, t in halves.items()}


def test_parameters_are_read_without_their_framework(peer: Path, tmp_path: Path):
    program = "import sys; sys.modules['torch'] = None; from jointbert.cli import main; main()"
    arguments = ["import", str(peer), str(tmp_path / "out")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    assert (tmp_path / "out" / saved.WEIGHTS).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("bert.encoder.layer.1.output.dense.bias"), "dense.bias is missing"),
        (lambda a: a.update(more=np.zeros(3, np.float32)), "more is not part of the model"),
        (
            lambda a: a.update({"bert.pooler.dense.bias": np.zeros(3, np.float32)}),
            r"pooler.dense.bias has shape \(3,\), the model \(64,\)",
        ),
        (
            lambda a: a.update({"bert.pooler.dense.bias": np.zeros(64, np.int64)}),
            "pooler.dense.bias holds int64",
        ),
    ],
    ids=["missing", "extra", "shape", "integers"],
)
def test_parameters_that_do_not_fit_are_refused_before_anything_is_written(
    peer: Path, ours: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
):
    (peer / "pytorch_model.bin").unlink()
    arrays = load_file(ours / "model.safetensors")
    change(arrays)
    save_file(arrays, peer / "model.safetensors")
    with pytest.raises(InputError, match=message):
        import_peer(peer, tmp_path / "out", peer, "", 50)
    assert not (tmp_path / "out").exists()
