"""Recordings: what was written comes back, or one line says why not."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelparity.errors import InputError, UsageError
from modelparity.model import Fault
from modelparity.recording import DTYPES, FORMAT, Writer, broken_seals, digest, read, tree_digest
from toy.recorded import record_side

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(lambda dtype: npst.arrays(dtype, SHAPES))
FIELDS = {"format", "written_by", "case", "complete", "facts", "count", "arrays", "files"}


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "recording", {"case": "test"})


@pytest.fixture
def finished(writer, tmp_path):
    writer.add("some", np.arange(6.0).reshape(2, 3))
    writer.add("more", np.arange(4))
    writer.facts["fact"] = [1, "two", None]
    writer.finish(complete=True)
    return tmp_path / "recording"


def edit(directory, change):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


@settings(max_examples=60, deadline=None)
@given(arrays=st.dictionaries(st.text(max_size=12), ARRAYS, max_size=4))
def test_every_array_comes_back_bit_for_bit(tmp_path_factory, arrays):
    directory = tmp_path_factory.mktemp("trip") / "recording"
    writer = Writer(directory, {})
    for name, array in arrays.items():
        writer.add(name, array)
    writer.finish()
    recording = read(directory)
    assert recording.names == tuple(arrays)
    for name, array in arrays.items():
        back = recording.array(name)
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert back.tobytes() == array.tobytes()
    assert broken_seals(recording) == []
    shutil.rmtree(directory)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3)], ids=str)
def test_every_dtype_and_shape_comes_back(writer, tmp_path, dtype, shape):
    array = np.ones(shape, dtype)
    writer.add("it", array)
    writer.finish()
    back = read(tmp_path / "recording").array("it")
    assert (back.dtype, back.shape, back.tolist()) == (array.dtype, shape, array.tolist())


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4).T, np.arange(12.0)[::-2], np.arange(3, dtype=">f8")],
    ids=["transposed", "reversed", "big-endian"],
)
def test_the_layout_in_memory_does_not_matter(writer, tmp_path, array):
    writer.add("it", array)
    writer.finish()
    assert np.array_equal(read(tmp_path / "recording").array("it"), array)


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([1j]), np.array([None])], ids=["text", "complex", "any"]
)
def test_an_array_that_cannot_be_written_is_refused_by_name(writer, array):
    with pytest.raises(TypeError, match=r"the name: dtype .* cannot be recorded"):
        writer.add("the name", array)


def test_a_later_change_of_the_array_is_not_recorded(writer, tmp_path):
    array = np.zeros(3)
    writer.add("it", array)
    array[:] = 1.0
    writer.finish()
    assert read(tmp_path / "recording").array("it").tolist() == [0.0, 0.0, 0.0]


def test_equal_content_is_stored_once(writer, tmp_path):
    for number in range(50):
        writer.add(f"array {number}", np.arange(1000.0))
    writer.finish()
    [file] = (tmp_path / "recording").glob("*.safetensors")
    assert 8000 < file.stat().st_size < 9000
    assert all(len(read(tmp_path / "recording").array(f"array {n}")) == 1000 for n in range(50))


def test_equal_bytes_of_another_shape_or_dtype_are_not_equal_content(writer, tmp_path):
    arrays = {"a": np.zeros(4), "b": np.zeros((2, 2)), "c": np.zeros(4, np.int64)}
    for name, array in arrays.items():
        writer.add(name, array)
    writer.finish()
    back = read(tmp_path / "recording")
    assert {n: (back.array(n).shape, back.array(n).dtype) for n in back.names} == {
        name: (array.shape, array.dtype) for name, array in arrays.items()
    }


def test_large_recordings_are_sharded(monkeypatch, writer, tmp_path):
    monkeypatch.setattr("modelparity.recording.SHARD_BYTES", 1000)
    for number in range(10):
        writer.add(str(number), np.full(100, float(number)))
        writer.add(f"{number} again", np.full(100, float(number)))
    writer.finish()
    recording = read(tmp_path / "recording")
    assert len(list(recording.directory.glob("*.safetensors"))) == 5
    assert [recording.array(f"{n} again")[0] for n in range(10)] == list(range(10))


def test_a_name_is_recorded_once(writer):
    writer.add("it", np.zeros(1))
    with pytest.raises(ValueError, match="it is recorded twice"):
        writer.add("it", np.zeros(1))


def test_a_sketch_says_what_it_stands_for(writer, tmp_path):
    writer.add("it", np.ones((300, 100), np.float32), sketched=True)
    writer.finish()
    recording = read(tmp_path / "recording")
    assert recording.entry("it") == {"dtype": "float32", "shape": [300, 100]}
    assert recording.array("it").ndim == 1


def test_nothing_is_readable_before_the_end(writer, tmp_path):
    writer.add("it", np.zeros(1))
    with pytest.raises(InputError, match=r"there is no manifest\.json"):
        read(tmp_path / "recording")


def test_a_finished_recording_has_no_broken_seal(finished):
    assert set(read(finished).manifest) == FIELDS | {"seal"}
    assert broken_seals(read(finished)) == []


@pytest.mark.parametrize("field", sorted(FIELDS - {"format"}))
def test_an_edited_field_is_named(finished, field):
    edit(finished, lambda manifest: manifest.update({field: "other"}))
    assert broken_seals(read(finished)) == [f"manifest field {field}"]


@pytest.mark.parametrize("field", sorted(FIELDS - {"format"}))
def test_a_removed_field_is_named(finished, field):
    edit(finished, lambda manifest: manifest.pop(field))
    assert broken_seals(read(finished)) == [f"manifest field {field}, which seal lists"]


def test_an_array_that_was_deleted_from_the_manifest_is_named(finished):
    edit(finished, lambda manifest: manifest["arrays"].pop("more"))
    assert broken_seals(read(finished)) == ["manifest field arrays, which lacks more"]


@pytest.mark.parametrize("entry", [None, 3, "x", [], {}], ids=str)
def test_an_entry_of_a_file_that_is_none_breaks_its_seal(finished, entry):
    edit(finished, lambda manifest: manifest["files"].update({"000.safetensors": entry}))
    assert broken_seals(read(finished)) == ["manifest field files", "file 000.safetensors"]


def test_an_added_field_is_named(finished):
    edit(finished, lambda manifest: manifest.update(more=1))
    assert broken_seals(read(finished)) == ["manifest field more, which seal lacks"]


@pytest.mark.parametrize("seal", [None, {}, "x", {"case": "0"}], ids=str)
def test_a_broken_seal_is_found(finished, seal):
    edit(finished, lambda manifest: manifest.update(seal=seal))
    assert broken_seals(read(finished))


@pytest.mark.parametrize("seal", [None, 3, "x"], ids=str)
def test_a_recording_without_seals_has_another_identity(finished, seal):
    before = read(finished).identity()
    edit(finished, lambda manifest: manifest.update(seal=seal))
    assert read(finished).identity() != before
    edit(finished, lambda manifest: manifest.pop("seal"))
    assert read(finished).identity() != before


def test_an_edited_file_is_named(finished):
    [file] = finished.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert broken_seals(read(finished)) == ["file 000.safetensors"]


def test_a_removed_file_is_named(finished):
    (finished / "000.safetensors").unlink()
    assert broken_seals(read(finished)) == ["file 000.safetensors (missing)"]
    with pytest.raises(InputError, match=r"000\.safetensors: some cannot be read"):
        read(finished).array("some")


@pytest.mark.parametrize("version", [0, FORMAT + 1, "1", None, 1.5])
def test_another_format_is_refused_with_what_wrote_it(finished, version):
    edit(finished, lambda manifest: manifest.update(format=version, written_by="modelparity 9"))
    with pytest.raises(InputError, match=rf"format {version} \(written by modelparity 9\)"):
        read(finished)


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", '{"format"', "\x00", "[" * 100_000])
def test_a_manifest_that_is_none_is_refused(finished, text):
    (finished / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"recording/manifest\.json"):
        read(finished)


def test_another_dtype_than_promised_is_refused(finished):
    edit(finished, lambda manifest: manifest["arrays"]["some"].update(dtype="float32"))
    with pytest.raises(InputError, match="some is not of the dtype and shape in the manifest"):
        read(finished).array("some")


@pytest.mark.parametrize(("dtype", "size"), [("BF16", 12), ("F8_E4M3", 6), ("C64", 48)])
def test_a_dtype_that_cannot_be_judged_is_refused(finished, dtype, size):
    header = {"some": {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(size)
    (finished / "000.safetensors").unlink()
    (finished / "000.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"000\.safetensors: some "):
        read(finished).array("some")


@pytest.mark.parametrize("field", ["file", "key", "dtype", "shape"])
def test_an_incomplete_entry_is_refused(finished, field):
    edit(finished, lambda manifest: manifest["arrays"]["some"].pop(field))
    with pytest.raises(InputError, match="some"):
        read(finished).array("some")


def test_the_order_of_keys_does_not_change_a_digest():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})


def test_a_digest_of_a_directory_sees_names_and_content(tmp_path):
    digests = []
    for name, text in (("a", "1"), ("b", "1"), ("a", "2")):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / name).write_text(text)
        digests.append(tree_digest(tmp_path / "data"))
    assert len(set(digests)) == 3


def stop(_settings, _split):
    raise SystemExit("killed")


def test_a_recorder_that_is_stopped_leaves_nothing(tmp_path):
    fault = Fault("stop", 2, "", "", lambda _: {"evaluation_batches": stop})
    with pytest.raises(SystemExit):
        record_side("reference", tmp_path / "out", steps=(1, 2), fault=fault)
    assert list(tmp_path.iterdir()) == []


def test_a_recorder_that_is_stopped_leaves_what_was_there(tmp_path):
    out = record_side("reference", tmp_path / "out", steps=(2,))
    before = tree_digest(out)
    fault = Fault("stop", 2, "", "", lambda _: {"evaluation_batches": stop})
    with pytest.raises(SystemExit):
        record_side("reference", out, steps=(1, 2), fault=fault)
    assert list(tmp_path.iterdir()) == [out]
    assert tree_digest(out) == before


def test_recording_again_replaces_the_recordings(tmp_path):
    out = record_side("reference", tmp_path / "out", steps=(1, 2))
    record_side("reference", out, steps=(2,))
    assert sorted(p.name for p in out.iterdir()) == ["evaluation_data", "inputs", "model"]


@pytest.mark.parametrize("made", ["a file", "a directory"])
def test_what_is_no_recording_is_not_replaced(tmp_path, made):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    out = tmp_path / "out" / "thesis.txt" if made == "a file" else tmp_path / "out"
    with pytest.raises(UsageError, match="holds something other than recordings"):
        record_side("reference", out, steps=(2,))
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_the_current_directory_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="holds something other than recordings"):
        record_side("reference", tmp_path.__class__("."), steps=(2,))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_directory_may_be_recorded_into(tmp_path):
    (tmp_path / "out").mkdir()
    record_side("reference", tmp_path / "out", steps=(2,))
    assert (tmp_path / "out" / "evaluation_data" / "manifest.json").is_file()


def test_the_recordings_that_are_given_are_not_replaced(tmp_path):
    out = record_side("reference", tmp_path / "out", steps=(2,))
    before = tree_digest(out)
    with pytest.raises(UsageError, match="are given"):
        record_side("candidate", tmp_path / "." / "out", given=out, steps=(2,))
    assert tree_digest(out) == before


def test_an_array_that_cannot_be_written_makes_the_step_incomplete(tmp_path):
    labels = partial(iter, [{"text": np.array(["a", "b"])}])
    fault = Fault("text", 2, "", "", lambda _: {"evaluation_batches": lambda *_: labels()})
    out = record_side("reference", tmp_path / "out", steps=(2,), fault=fault)
    manifest = read(out / "evaluation_data").manifest
    assert manifest["complete"] is False
    assert "dev/0/text: dtype <U1 cannot be recorded" in manifest["problem"]


def sparse(rows, width=70):
    array = np.zeros((4000, width), np.float32)
    array[rows] = np.random.default_rng(0).standard_normal((len(rows), width))
    return array


def written(tmp_path, array):
    writer = Writer(tmp_path / "recording", {})
    writer.add("it", array)
    writer.finish()
    return tmp_path / "recording"


@pytest.mark.parametrize("rows", [[], [0], [3, 17, 3999], list(range(2000)), list(range(2001))])
def test_a_large_array_with_empty_rows_comes_back_whole(tmp_path, rows):
    recording = read(written(tmp_path, sparse(rows)))
    assert np.array_equal(recording.array("it"), sparse(rows))
    assert recording.shapes("") == {"it": (4000, 70)}


def test_a_row_of_negative_zeros_or_nan_is_not_taken_for_an_empty_one(tmp_path):
    array = sparse([1])
    array[2], array[3, 5] = -0.0, np.nan
    recording = read(written(tmp_path, array))
    assert recording.array("it").tobytes() == array.tobytes()


def test_empty_rows_take_no_space(tmp_path):
    directory = written(tmp_path, sparse([3, 17]))
    assert sum(path.stat().st_size for path in directory.iterdir()) < 10_000


def test_rows_that_do_not_fit_are_named(tmp_path):
    directory = written(tmp_path, sparse([3, 17]))

    def shrink(manifest):
        manifest["arrays"]["it"]["stands_for"]["shape"] = [10, 70]

    edit(directory, shrink)
    with pytest.raises(InputError, match="the rows of it do not fit"):
        read(directory).array("it")


def test_what_was_written_can_be_read_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("modelparity.recording.SHARD_BYTES", 40)
    writer, arrays = Writer(tmp_path / "one", {}), {n: np.arange(n, n + 8.0) for n in range(3)}
    for n, array in arrays.items():
        writer.add(f"array {n}", array)
    assert "array 0" in writer
    assert "array 3" not in writer
    assert all(np.array_equal(writer.array(f"array {n}"), array) for n, array in arrays.items())
