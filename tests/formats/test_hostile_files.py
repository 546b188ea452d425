"""Broken and hostile files end in one line: nothing runs, nothing grows, nothing hangs."""

import contextlib
import importlib.util
import io
import json
import os
import pickle
import pickletools
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from modelparity.errors import InputError
from modelparity.formats import open_tensors

HERE = np.arange(6.0, dtype=np.float32).reshape(2, 3)


def refused(path, content, match="."):
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        everything(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


def everything(path):
    return {name: list(tensor.chunks(1000)) for name, tensor in open_tensors(path).items()}


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touch(path):
    path.write_text("ran")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("true",)),
        (eval, ("1 + 1",)),
        (exec, ("pass",)),
        (getattr, (1, "real")),
        (__import__, ("os",)),
        (open, ("/dev/null",)),
        (np.load, ("x.npy",)),
        (np.fromfile, ("x.npy",)),
        (bytearray.fromhex, ("00",)),
        (map, (print, [1])),
        (type, ("X", (), {})),
        (pickle.loads, (b"",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_pickle_that_calls_code_is_refused_by_name(tmp_path, function, arguments, protocol):
    content = pickle.dumps({"w": Calls(function, *arguments)}, protocol)
    message = refused(tmp_path / "it.pt", content, "asks for|broken")
    assert function.__name__ in message or "getattr" in message


def test_nothing_runs(tmp_path):
    ran = tmp_path / "ran"
    content = pickle.dumps({"w": Calls(touch, ran)}, 4)
    refused(tmp_path / "it.pt", content, "asks for")
    assert not ran.exists()


def test_a_pickle_within_an_array_of_objects_or_an_archive_is_no_other(tmp_path):
    inside = io.BytesIO()
    np.save(inside, np.array(Calls(os.system, "true"), dtype=object), allow_pickle=True)
    refused(tmp_path / "it.npy", inside.getvalue(), "system")
    with zipfile.ZipFile(tmp_path / "it.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(Calls(os.system, "true"), 2))
    with pytest.raises(InputError, match="system"):
        open_tensors(tmp_path / "it.pt")


def test_what_is_admitted_cannot_be_made_to_fill_memory(tmp_path):
    for call in (
        Calls(bytearray, 1 << 40),
        Calls(bytes, 1 << 40),
        Calls(list, range(5)),
        Calls(tuple, "text"),
    ):
        refused(tmp_path / "it.pt", pickle.dumps(call, 4), "broken|asks for")


def test_a_place_far_away_in_the_memo_takes_no_memory(tmp_path):
    content = b"\x80\x02}r" + struct.pack("<I", 0xFFFFFFFF) + b"."
    path = tmp_path / "it.pt"
    path.write_bytes(content)
    tracemalloc.start()
    assert everything(path) == {}
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_structure_that_unfolds_without_end_is_refused(tmp_path):
    # Sixty lists, each of which holds the one before twice.
    doubled = b"".join(
        b"0(" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"lq" + bytes([n + 1]) for n in range(60)
    )
    content = b"\x80\x02]q\x00" + doubled + b"."
    assert pickletools.genops(content)
    refused(tmp_path / "it.pt", content, "it holds more than")


def test_a_list_within_itself_is_refused(tmp_path):
    endless = []
    endless.append(endless)
    refused(tmp_path / "it.pt", pickle.dumps(endless, 4), "nested too deep")


def test_keys_that_take_long_to_hash_are_refused(tmp_path):
    key = (1,)
    for _ in range(40):
        key = (key, key)
    content = b"\x80\x02}" + pickle.dumps(key, 2)[2:-1] + b"K\x01s."
    refused(tmp_path / "it.pt", content, "cannot name anything")


@pytest.mark.parametrize("deep", [1000, 100_000])
def test_deep_nesting_is_one_line(tmp_path, deep):
    refused(tmp_path / "it.pt", b"\x80\x02" + b"(" * 0 + b"]" + b"\x85" * deep + b".", "nested")
    text = b'{"a":' * deep + b"1" + b"}" * deep
    refused(tmp_path / "it", struct.pack("<Q", len(text)) + text)


def safetensors_of(header, body=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + body


def entry(begin, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"a": entry(0, 8), "b": entry(4, 12)}, "b overlaps another tensor"),
        ({"a": entry(0, 8), "b": entry(12, 20)}, "b leaves a hole"),
        ({"a": entry(4, 12)}, "a leaves a hole"),
        ({"a": entry(0, 80, (20,))}, "the file holds 20"),
        ({"a": entry(0, 8)}, "the tensors have 8 bytes"),
        ({"a": entry(0, 20, (3,))}, "of shape"),
        ({"a": entry(0, 8, (-2,))}, "no counts"),
        ({"a": entry(0, 8, (2.0,))}, "no counts"),
        ({"a": entry(0, 8, (True, 2))}, "no counts"),
        ({"a": entry(0, 8, (1 << 62,) * 4)}, "no counts"),
        ({"a": entry(0, 20, (5,), "F4")}, "F4, which is not read"),
        ({"a": {"dtype": "F32"}}, "lacks"),
        ({"a": 5}, "lacks"),
        (b"[1]", "no file of tensors|no JSON object"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": NaN', "no JSON"),
        ({"\x1b[31m../x": 5}, r"\\x1b\[31m../x"),
    ],
)
def test_a_header_that_lies_is_told(tmp_path, header, said):
    refused(tmp_path / "it", safetensors_of(header, bytes(20)), said)


def test_a_header_longer_than_the_file_takes_no_memory(tmp_path):
    for length in (1 << 20, 99_999_999, (1 << 32) - 1):
        refused(tmp_path / "it", struct.pack("<Q", length) + b"{}", "should have")


@pytest.mark.parametrize("shard", ["../up.safetensors", "/etc/passwd", "a/b", "", ".."])
def test_an_index_cannot_lead_elsewhere(tmp_path, shard):
    index = json.dumps({"weight_map": {"w": shard}}).encode()
    refused(tmp_path / "it.index.json", index, "no name of a file beside it")


def npy_of(header, body=b""):
    text = (repr(header) if isinstance(header, dict) else header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


@pytest.mark.parametrize(
    "header",
    [
        {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)},
        {"descr": "<f4", "fortran_order": False, "shape": (1,)},
        {"descr": "<f4", "fortran_order": False, "shape": (-2,)},
        {"descr": "<f4", "fortran_order": 1, "shape": (2,)},
        {"descr": [("a", "<f4")], "fortran_order": False, "shape": (2,)},
        {"descr": "<U2", "fortran_order": False, "shape": (1,)},
        {"descr": "|V8", "fortran_order": False, "shape": (1,)},
        {"descr": "<f4", "shape": (2,)},
        "__import__('os')",
        "{" * 500,
    ],
)
def test_an_npy_header_that_lies_is_told(tmp_path, header):
    refused(tmp_path / "it.npy", npy_of(header, bytes(8)))


def zipped(compression, **members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return content.getvalue()


def test_a_member_that_inflates_to_more_than_its_array_is_refused(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (2,)}
    bomb = zipped(zipfile.ZIP_DEFLATED, w=npy_of(header, bytes(1 << 24)))
    assert len(bomb) < 1 << 16
    refused(tmp_path / "it.npz", bomb, "bytes follow it")


def test_an_archive_that_lies_about_a_members_size_is_refused(tmp_path):
    content = bytearray(zipped(zipfile.ZIP_DEFLATED, w=npy_of("x", bytes(1000))))
    place = content.rfind(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 100)
    refused(tmp_path / "it.npz", bytes(content))


def test_members_over_each_other_are_refused(tmp_path):
    content = bytearray(zipped(zipfile.ZIP_STORED, a=b"x" * 100, b=b"y" * 100))
    second = content.rfind(b"PK\x01\x02") + 42
    content[second : second + 4] = struct.pack("<I", 0)
    refused(tmp_path / "it.npz", bytes(content))


def checkpoint(directory, legacy):
    torch = pytest.importorskip("torch")
    state = {"a": torch.arange(3.0), "b": torch.ones(2, 2).T}
    torch.save(state, directory / "it", _use_new_zipfile_serialization=not legacy)
    return (directory / "it").read_bytes()


def small_files(directory):
    array, dictionary = io.BytesIO(), io.BytesIO()
    np.save(array, HERE)
    np.save(dictionary, {"w": HERE}, allow_pickle=True)
    archive = io.BytesIO()
    np.savez_compressed(archive, w=HERE)
    files = {
        "npy": array.getvalue(),
        "npz": archive.getvalue(),
        "reprod_log": dictionary.getvalue(),
        "pickle": pickle.dumps({"w": HERE}, 4),
        "old pickle": pickle.dumps({"w": HERE}, 2),
        "safetensors": save({"w": HERE, "b": HERE[0]}),
    }
    if importlib.util.find_spec("torch"):
        files |= {"torch": checkpoint(directory, False), "legacy": checkpoint(directory, True)}
    return files


KINDS = ["npy", "npz", "reprod_log", "pickle", "old pickle", "safetensors", "torch", "legacy"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, kind):
    files = small_files(tmp_path)
    if kind not in files:
        pytest.skip("needs torch")
    for length in range(len(files[kind])):
        refused(tmp_path / "cut", files[kind][:length])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_bytes_are_refused_or_read(tmp_path_factory, kind, data):
    directory = tmp_path_factory.mktemp("changed")
    files = small_files(directory)
    if kind not in files:
        pytest.skip("needs torch")
    content = bytearray(files[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = directory / "it"
    path.write_bytes(bytes(content))
    with contextlib.suppress(InputError):
        everything(path)


def test_sparse_and_quantised_tensors_are_refused_by_name(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "sparse.pt")
    with pytest.raises(InputError, match="_rebuild_sparse_tensor"):
        open_tensors(tmp_path / "sparse.pt")


def test_a_view_beyond_its_storage_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.arange(8.0)}, tmp_path / "it.pt")
    with zipfile.ZipFile(tmp_path / "it.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "wrong.pt", "w") as archive:
        for name, member in members.items():
            shorter = member[:8] if name.endswith("/data/0") else member
            archive.writestr(name, shorter)
    with pytest.raises(InputError, match="holds 8 bytes, not 32"):
        open_tensors(tmp_path / "wrong.pt")
