"""What is bounded: copies, names, files at a time, what archives grow to, what is waited for."""

import io
import json
import os
import pickle
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from command import environment
from modelparity.errors import InputError
from modelparity.formats import archives, open_tensors, printable, safetensors

ROOT = Path(__file__).parents[2]


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        everything(path)
    assert str(caught.value).isprintable()


def everything(path):
    return {name: list(tensor.chunks(1000)) for name, tensor in open_tensors(path).items()}


def test_a_long_text_given_to_calls_again_and_again_is_refused(tmp_path):
    text = b"X" + (1 << 20).to_bytes(4, "little") + b"x" * (1 << 20) + b"q\x00"
    call = b"c_codecs\nencode\nq\x01"
    again = b"h\x01h\x00\x85R" * 10_000
    tracemalloc.start()
    refused(tmp_path / "it", b"\x80\x02" + text + call + again + b".", "copies more than it holds")
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_long_key_of_many_things_is_refused(tmp_path):
    deep = {"k" * 5000: [1, 2, 3]}
    refused(tmp_path / "it", pickle.dumps(deep, 4), "more than 4,096 characters")
    long = {"k" * 4000: [None] * 50_000}
    refused(tmp_path / "it", pickle.dumps(long, 4), "its names have more than")
    refused(tmp_path / "it", pickle.dumps({("k" * 5000,): 1}, 4), "more than 4,096 characters")


# Each asks for the most memory by the fewest bytes: sets, dictionaries, places in the memo, arrays.
GREEDY = {
    "sets": b"(" + b"\x8f" * 500_000 + b"t.",
    "dictionaries": b"(" + b"}" * 500_000 + b"t.",
    "left": b"}" * 100_000 + b".",
    "memo": b"N" + b"\x94" * 500_000 + b".",
    "calls": b"cnumpy.core.multiarray\n_reconstruct\nq\x00](" + b"h\x00)R" * 250_000 + b"e.",
    "numbers": b"](" + b"K\x01" * 250_000 + b"e.",
}
# A tenth of what is allowed, of the memory too, so that it takes a tenth of the time.
ASK = (
    "import resource, sys\n"
    "from pathlib import Path\n"
    "from modelparity.formats import open_tensors, program, tree\n"
    "program.KEPT //= 10; tree.MOST //= 10; tree.MOST_TENSORS //= 10\n"
    "now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
    "resource.setrlimit(resource.RLIMIT_AS, (now + (54 << 20), now + (54 << 20)))\n"
    "try:\n    print(len(open_tensors(Path(sys.argv[1]))))\n"
    "except Exception as error:\n    print(type(error).__name__, error)\n"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("kind", GREEDY)
def test_a_greedy_pickle_is_refused_in_half_a_gigabyte(tmp_path, kind):
    (tmp_path / "it").write_bytes(b"\x80\x04" + GREEDY[kind])
    run = [sys.executable, "-c", ASK, str(tmp_path / "it")]
    done = subprocess.run(run, env=environment(), capture_output=True, text=True, check=False)
    assert done.stdout.startswith("InputError"), done.stdout


def test_pickles_in_an_archive_may_not_grow_without_measure(tmp_path):
    with zipfile.ZipFile(tmp_path / "it.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("it/data.pkl", b"\x80\x02](" + b"K\x01" * (1 << 20) + b"e.")
    with pytest.raises(InputError, match="as those of zip bombs do"):
        open_tensors(tmp_path / "it.pt")
    held = np.array({"n": [1] * (1 << 19)}, dtype=object)
    np.savez_compressed(tmp_path / "it.npz", a=held, b=held)
    with pytest.raises(InputError, match="as those of zip bombs do"):
        open_tensors(tmp_path / "it.npz")


def test_json_of_more_parts_than_tensors_have_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(safetensors, "MOST_PARTS", 1000)
    header = b'{"w":[' + b"[]," * 1000 + b"[]]}"
    content = len(header).to_bytes(8, "little") + header
    refused(tmp_path / "it", content, "the header has more than 1,000 parts")


def test_a_name_without_end_is_refused(tmp_path):
    save_file({"k" * 5000: np.ones(1)}, tmp_path / "it.safetensors")
    with pytest.raises(InputError, match=r"kkk\.\.\. has more than 4,096 characters"):
        open_tensors(tmp_path / "it.safetensors")


def test_calls_within_calls_are_refused(tmp_path):
    nested = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x00"
    part = b"h\x00ctorch\nTensor\n)\x87" * 2
    refused(tmp_path / "it", b"\x80\x02" + nested + part + b"R.", "another class|broken")


def test_an_array_of_no_objects_holds_nothing(tmp_path):
    content = pickle.dumps(np.array(3, dtype=object), 2)
    at = content.rindex(b"]")
    emptied = content[:at] + b"]" + content[at:].partition(b"K\x03a")[2]
    (tmp_path / "it").write_bytes(emptied)
    assert everything(tmp_path / "it") == {}


def test_an_index_that_names_itself_is_refused(tmp_path):
    index = json.dumps({"weight_map": {"w": "it"}}).encode()
    refused(tmp_path / "it", index, "no file of tensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "it.npy")
    for path in (tmp_path / "it.npy", tmp_path):
        with pytest.raises(InputError, match=r"it\.npy: it is no regular file"):
            open_tensors(path)


def test_a_directory_leaves_out_nothing_in_silence(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1))
    (tmp_path / "lost").symlink_to(tmp_path / "gone.safetensors")
    with pytest.raises(InputError, match="lost: it cannot be read"):
        open_tensors(tmp_path)
    (tmp_path / "lost").unlink()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match="loop: it is a link to a directory"):
        open_tensors(tmp_path)


def test_links_to_files_are_followed(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1))
    (tmp_path / "cached").mkdir()
    (tmp_path / "cached" / "y.npy").symlink_to(tmp_path / "x.npy")
    assert list(open_tensors(tmp_path / "cached")) == ["array"]


def test_an_archive_of_any_ending_is_found_in_a_directory(tmp_path):
    np.savez(tmp_path / "x.npz", w=np.zeros(1))
    (tmp_path / "x.npz").rename(tmp_path / "model.pth.tar")
    with zipfile.ZipFile(tmp_path / "sources.whl", "w") as archive:
        archive.writestr("read.me", "no tensors")
    assert list(open_tensors(tmp_path)) == ["w"]


def test_shards_and_a_whole_model_of_one_name_are_two(tmp_path):
    save_file({"w": np.zeros(1)}, tmp_path / "model.safetensors")
    save_file({"w": np.zeros(1)}, tmp_path / "model-0.safetensors")
    index = {"weight_map": {"w": "model-0.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="model/w stands in two of its files"):
        open_tensors(tmp_path)


def test_a_directory_of_more_files_than_may_be_open_is_read(tmp_path):
    for number in range(300):
        np.save(tmp_path / f"{number}.npy", np.array([number]))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (tmp_path / "0.npy").open() as stream:
        taken = stream.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 30, before[1]))
    try:
        found = {name: int(*next(t.chunks(9))) for name, t in open_tensors(tmp_path).items()}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found == {str(number): number for number in range(300)}


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    np.save(tmp_path / "it.npy", np.arange(10.0))
    for number in range(8):
        np.save(tmp_path / f"{number}.npy", np.arange(3))
    tensor = open_tensors(tmp_path / "it.npy")["array"]
    np.save(tmp_path / "it.npy", np.arange(99.0))
    for number in range(8):  # what was mapped before is let go
        everything(tmp_path / f"{number}.npy")
    with pytest.raises(InputError, match="changed while it was read"):
        next(tensor.chunks(5))


def test_an_archive_that_grows_without_measure_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "it.npz", w=np.zeros(1 << 21))
    assert len(everything(tmp_path / "it.npz")["w"]) == -(-(1 << 21) // 1000)
    monkeypatch.setattr(archives, "PLENTY", 1 << 20)
    with pytest.raises(InputError, match=r"inflate to 16,777,\d+, as those of zip bombs do"):
        open_tensors(tmp_path / "it.npz")


def test_an_archive_that_promises_the_impossible_is_refused(tmp_path):
    stream = io.BytesIO()
    np.savez_compressed(stream, w=np.zeros(100))
    content = bytearray(stream.getvalue())
    place = content.rfind(b"PK\x01\x02") + 24
    content[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    refused(tmp_path / "it.npz", bytes(content), "more than is possible")


def test_the_list_of_members_is_read_once(tmp_path, monkeypatch):
    arrays = {f"layer.{i}": np.full(3 + 20_000 * (i == 7), i) for i in range(30)}
    np.savez_compressed(tmp_path / "it.npz", **arrays)
    opened, real = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a: opened.append(a) or real(*a))
    found = everything(tmp_path / "it.npz")
    assert {name: sum(map(sum, chunks)) for name, chunks in found.items()} == {
        name: array.sum() for name, array in arrays.items()
    }
    assert len(opened) == 1


@pytest.mark.parametrize("field", ["sum", "size"])
def test_a_member_of_another_sum_or_size_is_refused(tmp_path, field):
    stream = io.BytesIO()
    np.savez_compressed(stream, w=np.arange(1000.0))
    content = bytearray(stream.getvalue())
    at = content.rfind(b"PK\x01\x02") + {"sum": 16, "size": 24}[field]
    content[at] ^= 8
    (tmp_path / "it.npz").write_bytes(bytes(content))
    with pytest.raises(
        InputError, match=r"w\.npy (cannot be inflated: its sum|inflates to another)"
    ):
        everything(tmp_path / "it.npz")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, kind):
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    with zipfile.ZipFile(tmp_path / "it.npz", "w", kind) as archive:
        archive.writestr("w.npy", array.getvalue())
    with pytest.raises(InputError, match="compressed in an unknown way"):
        open_tensors(tmp_path / "it.npz")


def test_opening_inflates_nothing(tmp_path):
    np.savez_compressed(tmp_path / "it.npz", w=np.random.default_rng(0).normal(size=1 << 18))
    content = bytearray((tmp_path / "it.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "it.npz").write_bytes(bytes(content))
    tensor = open_tensors(tmp_path / "it.npz")["w"]
    assert tensor.shape == (1 << 18,)
    with pytest.raises(InputError, match=r"w\.npy cannot be inflated"):
        next(tensor.chunks(5))


def test_chunks_of_any_array_take_no_more_than_themselves(tmp_path):
    wide = np.lib.stride_tricks.as_strided(np.zeros(1, "f4"), (1 << 13, 1 << 11), (0, 0))
    np.savez_compressed(tmp_path / "packed.npz", w=np.asfortranarray(wide))
    np.save(tmp_path / "columns.npy", np.asfortranarray(wide).astype(">f4"))
    np.save(tmp_path / "half.npy", wide.astype("f2"))
    for name in ("packed.npz", "columns.npy", "half.npy"):
        tracemalloc.start()
        for tensor in open_tensors(tmp_path / name).values():
            assert sum(chunk.size for chunk in tensor.chunks(1 << 16)) == 1 << 24
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
        tracemalloc.stop()


def test_two_files_of_a_directory_may_not_give_one_name(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1))
    np.savez(tmp_path / "x.npz", array=np.zeros(1))
    with pytest.raises(InputError, match="x stands in two of its files"):
        open_tensors(tmp_path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("layer.0/weight", "layer.0/weight"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\nb\tc\x00", r"a\nb\tc\x00"),
        ("\u202eright to left", r"\u202eright to left"),
        ("\ud800", r"\ud800"),
        ("重み", "重み"),
        ("x" * 300, "x" * 197 + "..."),
    ],
)
def test_names_are_shown_without_what_a_terminal_acts_on(name, shown):
    assert printable(name) == shown


def test_a_directory_named_to_move_the_cursor_is_shown_escaped(tmp_path):
    place = tmp_path / "\x1b[2J"
    place.mkdir()
    (place / "it.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError) as caught:
        open_tensors(place)
    assert str(caught.value).isprintable()


def test_the_corpus_of_the_fuzzer_is_read_or_refused():
    corpus = ROOT / "tests" / "formats" / "corpus"
    assert len(list(corpus.iterdir())) > 20
    command = [sys.executable, ROOT / "benchmarks" / "fuzz_formats.py", "--seconds", "0"]
    done = subprocess.run(
        [*command, "--corpus", corpus], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(" 0 findings")


def test_the_fuzzer_finds_what_is_planted():
    planted = (
        "import runpy, sys\n"
        "import modelparity.formats.arrays as a\n"
        "def named_dtype(code):\n    import os; os.system('true'); return ''\n"
        "a.named_dtype = named_dtype\n"
        "sys.argv = ['fuzz', '--seconds', '0']\n"
        f"runpy.run_path({str(ROOT / 'benchmarks' / 'fuzz_formats.py')!r}, run_name='__main__')\n"
    )
    command = [sys.executable, "-c", planted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "finding: Finding: os.system" in done.stdout
