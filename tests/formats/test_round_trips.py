"""What the real packages write comes back element by element, without them."""

import collections
import importlib.util
import json
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import save_file

from modelparity.errors import InputError
from modelparity.formats import open_tensors

DTYPES = [
    *("float64", "float32", "float16", "int64", "int32", "int16", "int8"),
    *("uint64", "uint32", "uint16", "uint8", "bool", "complex64", "complex128"),
]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, min_side=0))
)
torch_too = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
paddle_too = pytest.mark.skipif(importlib.util.find_spec("paddle") is None, reason="needs paddle")


def read(tensor, size=7):
    """All elements, gathered from small chunks."""
    chunks = list(tensor.chunks(size))
    assert all(chunk.size == size for chunk in chunks[:-1])
    assert all(chunk.ndim == 1 and chunk.dtype.isnative for chunk in chunks)
    flat = np.concatenate(chunks) if chunks else np.zeros(0, tensor.dtype)
    return flat.reshape(tensor.shape)


def same(found, expected):
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        name: str(array.dtype) for name, array in expected.items()
    }
    for name, array in expected.items():
        back = read(found[name])
        assert back.shape == array.shape
        assert back.tobytes() == np.ascontiguousarray(array).tobytes()


@settings(max_examples=80, deadline=None)
@given(array=ARRAYS, fortran=st.booleans(), big=st.booleans(), compressed=st.booleans())
def test_npy_and_npz(tmp_path_factory, array, fortran, big, compressed):
    directory = tmp_path_factory.mktemp("npy")
    laid = np.asarray(array, order="F" if fortran else "C")
    laid = laid.astype(laid.dtype.newbyteorder(">" if big else "<"))
    np.save(directory / "one.npy", laid)
    same(open_tensors(directory / "one.npy"), {"array": array})
    save = np.savez_compressed if compressed else np.savez
    save(directory / "two.npz", **{"a.weight": laid, "b": laid})
    same(open_tensors(directory / "two.npz"), {"a.weight": array, "b": array})


@settings(max_examples=80, deadline=None)
@given(
    arrays=st.dictionaries(st.text(max_size=6), ARRAYS, max_size=4),
    protocol=st.sampled_from([2, 3, 4, 5]),
)
def test_dictionaries_of_arrays_in_every_protocol(tmp_path_factory, arrays, protocol):
    arrays = {name or "none": array for name, array in arrays.items()}
    path = tmp_path_factory.mktemp("pickle") / "it.pdparams"
    path.write_bytes(pickle.dumps(arrays, protocol))
    same(open_tensors(path), arrays)


def test_reprod_logs_dictionaries(tmp_path):
    arrays = {
        "logits": np.random.default_rng(0).normal(size=(3, 5)).astype("f4"),
        "loss": np.array(2.5),
    }
    np.save(tmp_path / "forward.npy", arrays)
    same(open_tensors(tmp_path / "forward.npy"), arrays)


@settings(max_examples=40, deadline=None)
@given(arrays=st.dictionaries(st.text(max_size=6), ARRAYS, max_size=4))
def test_safetensors(tmp_path_factory, arrays):
    arrays = {n: a for n, a in arrays.items() if a.dtype != "complex128" and a.dtype != "complex64"}
    path = tmp_path_factory.mktemp("safetensors") / "it"
    save_file({n: np.ascontiguousarray(a).reshape(a.shape) for n, a in arrays.items()}, path)
    same(open_tensors(path), arrays)


def sharded(directory):
    arrays = {"a": np.arange(4.0), "b": np.ones((2, 3), np.float32)}
    for number, (name, array) in enumerate(arrays.items()):
        save_file({name: array}, directory / f"model-{number}.safetensors")
    index = {"weight_map": {"a": "model-0.safetensors", "b": "model-1.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return arrays


def test_shards_by_their_index_and_by_their_directory(tmp_path):
    arrays = sharded(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    same(open_tensors(tmp_path / "model.safetensors.index.json"), arrays)
    same(open_tensors(tmp_path), arrays)


def test_several_files_of_a_directory_give_their_names(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    save_file({"w": np.ones(2)}, tmp_path / "y.safetensors")
    assert sorted(open_tensors(tmp_path)) == ["x", "y/w"]


@torch_too
@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoints_of_torch(tmp_path, legacy):
    import torch

    base = torch.randn(6, 5)
    state = {
        "model": {"w": base, "view": base[1:4, ::2], "t": base.T, "tied": base},
        "half": torch.randn(3).to(torch.bfloat16),
        "ints": torch.arange(4),
        "flags": torch.tensor([True, False]),
        "c": torch.randn(2, dtype=torch.complex64),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "wide": torch.ones(1).expand(3, 4),
        "layers": [torch.nn.Parameter(torch.ones(2)), np.arange(3)],
        "epoch": 3,
        "rate": 0.5,
        "note": "left out",
    }
    path = tmp_path / "checkpoint"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    expected = {
        "model.w": base.numpy(),
        "model.view": base[1:4, ::2].numpy(),
        "model.t": base.T.numpy(),
        "model.tied": base.numpy(),
        "ints": np.arange(4),
        "flags": np.array([True, False]),
        "c": state["c"].numpy(),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "wide": np.ones((3, 4), np.float32),
        "layers.0": np.ones(2, np.float32),
        "layers.1": np.arange(3),
        "epoch": np.array(3),
        "rate": np.array(0.5),
    }
    found = dict(open_tensors(path))
    half = found.pop("half")
    assert half.dtype == "bfloat16"
    assert np.array_equal(read(half), state["half"].float().numpy())
    same(found, expected)


@torch_too
def test_large_arrays_of_numpys_within_a_checkpoint(tmp_path):
    import torch

    held = {"a": np.arange(5000.0), "b": np.asfortranarray(np.arange(6000.0).reshape(60, 100))}
    for legacy in (False, True):
        torch.save(held, tmp_path / "it.pt", _use_new_zipfile_serialization=not legacy)
        same(open_tensors(tmp_path / "it.pt"), held)


@torch_too
def test_a_checkpoint_that_was_packed_again(tmp_path):
    import torch

    base = torch.randn(6, 5)
    torch.save({"w": base, "t": base.T}, tmp_path / "it.pt")
    with (
        zipfile.ZipFile(tmp_path / "it.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    same(open_tensors(tmp_path / "packed.pt"), {"w": base.numpy(), "t": base.T.numpy()})


@torch_too
def test_strides_of_axes_with_one_element_are_of_no_account(tmp_path):
    import torch

    torch.save({"w": torch.arange(3.0).as_strided((1, 3), (1 << 58, 1))}, tmp_path / "it.pt")
    same(open_tensors(tmp_path / "it.pt"), {"w": np.arange(3.0, dtype="f4")[None]})


@torch_too
@pytest.mark.parametrize("legacy", [False, True])
def test_what_is_turned_when_it_is_read_is_turned(tmp_path, legacy):
    import torch

    c, d = torch.randn(2, 5, dtype=torch.complex64).unbind()
    held = {"conjugated": c.conj(), "negated": d.clone().conj().imag}
    torch.save(held, tmp_path / "it.pt", _use_new_zipfile_serialization=not legacy)
    same(
        open_tensors(tmp_path / "it.pt"),
        {name: t.resolve_conj().resolve_neg().numpy() for name, t in held.items()},
    )


@torch_too
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_dtypes_whose_storage_is_of_bytes(tmp_path, legacy, dtype):
    import torch

    held = {"w": torch.arange(6).to(getattr(torch, dtype)).reshape(2, 3).T}
    torch.save(held, tmp_path / "it.pt", _use_new_zipfile_serialization=not legacy)
    same(open_tensors(tmp_path / "it.pt"), {"w": held["w"].numpy()})


@torch_too
@pytest.mark.parametrize("legacy", [False, True])
def test_a_storage_is_refused_in_place_of_left_out(tmp_path, legacy):
    import torch

    held = {"w": torch.ones(3), "s": torch.ones(3).untyped_storage()}
    torch.save(held, tmp_path / "it.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match="s: a storage without a tensor is not read"):
        open_tensors(tmp_path / "it.pt")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_containers_of_the_standard_library(tmp_path, protocol):
    held = {
        "milestones": collections.Counter([30, 30, 60]),
        "counts": collections.defaultdict(int, a=1),
        "lists": collections.defaultdict(list, b=[2.5]),
        "ordered": collections.OrderedDict(c=True),
    }
    (tmp_path / "it").write_bytes(pickle.dumps(held, protocol))
    expected = {"milestones.30": np.array(2), "milestones.60": np.array(1)}
    expected |= {"counts.a": np.array(1), "lists.b.0": np.array(2.5), "ordered.c": np.array(True)}
    same(open_tensors(tmp_path / "it"), expected)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_sets_are_left_out(tmp_path, protocol):
    held = {"s": {1, 2}, "f": [frozenset([3, (4, "x")])], "n": 5}
    (tmp_path / "it").write_bytes(pickle.dumps(held, protocol))
    assert list(open_tensors(tmp_path / "it")) == ["n"]


def test_integers_beyond_64_bits_are_left_out(tmp_path):
    held = {"seed": 1 << 100, "large": (1 << 64) - 1, "least": -(1 << 63), "flag": True}
    (tmp_path / "it").write_bytes(pickle.dumps(held, 4))
    expected = {
        "large": np.array((1 << 64) - 1, np.uint64),
        "least": np.array(-(1 << 63)),
        "flag": np.array(True),
    }
    same(open_tensors(tmp_path / "it"), expected)


@torch_too
@pytest.mark.parametrize("legacy", [False, True])
def test_a_modules_state_dict_and_an_optimizers(tmp_path, legacy):
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    for name, held in (("model", model.state_dict()), ("optimizer", optimizer.state_dict())):
        torch.save(held, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    same(open_tensors(tmp_path / "model"), {n: t.numpy() for n, t in model.state_dict().items()})
    moments = open_tensors(tmp_path / "optimizer")
    held = optimizer.state_dict()["state"][0]["exp_avg"].numpy()
    assert np.array_equal(read(moments["state.0.exp_avg"]), held)


@torch_too
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "bfloat16"])
def test_narrow_floats_in_every_value(tmp_path, name):
    import torch
    from safetensors.torch import save_file as save_torch

    wide = 2 if name == "bfloat16" else 1
    bits = np.arange(256**wide, dtype=f"u{wide}").view(f"i{wide}")
    tensor = torch.from_numpy(bits.copy()).view(getattr(torch, name))
    save_torch({"w": tensor}, tmp_path / "it.safetensors")
    found = open_tensors(tmp_path / "it.safetensors")["w"]
    assert found.dtype == name
    back, expected = read(found, 1000), tensor.float().numpy()
    assert np.array_equal(back, expected, equal_nan=True)
    assert np.array_equal(np.signbit(back), np.signbit(expected))


@paddle_too
def test_parameters_of_paddle(tmp_path):
    with warnings.catch_warnings():  # its import warns
        warnings.simplefilter("ignore")
        import paddle

    layer = paddle.nn.Linear(3, 4)
    paddle.save(layer.state_dict(), str(tmp_path / "layer.pdparams"))
    same(
        open_tensors(tmp_path / "layer.pdparams"),
        {name: p.numpy() for name, p in layer.state_dict().items()},
    )


def test_parameters_that_paddle_cut_into_slices_are_whole_again(tmp_path):
    whole = np.arange(20.0).reshape(4, 5)
    told = {"w": {"OriginShape": (4, 5), "slices": ["w@@.0", "w@@.1"]}}
    cut = {"w@@.0": whole.reshape(-1)[:13], "w@@.1": whole.reshape(-1)[13:]}
    path = tmp_path / "big.pdparams"
    path.write_bytes(pickle.dumps({**cut, "UnpackBigParamInfor@@": told}, 2))
    same(open_tensors(path), {"w": whole})


def test_a_hundred_thousand_tensors_open_quickly_enough_to_wait_for(tmp_path):
    header, body = {}, b""
    for number in range(100_000):
        header[f"n{number}"] = {
            "dtype": "F32",
            "shape": [1],
            "data_offsets": [4 * number, 4 * number + 4],
        }
    text = json.dumps(header).encode()
    body = np.arange(100_000, dtype=np.float32).tobytes()
    path = tmp_path / "many.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    found = open_tensors(path)
    assert read(found["n99999"])[0] == 99999.0


def test_a_text_is_no_file_of_tensors(tmp_path):
    (tmp_path / "it.txt").write_text("words")
    with pytest.raises(InputError, match="no file of tensors"):
        open_tensors(tmp_path / "it.txt")


def test_a_zip_of_other_things_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.writestr("words.txt", "words")
    with pytest.raises(InputError, match=r"words\.txt is no npy file"):
        open_tensors(tmp_path / "it.zip")
