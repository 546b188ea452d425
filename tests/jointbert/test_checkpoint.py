"""Checkpoints: whole or not at all, and of one training only."""

import errno
from pathlib import Path

import numpy as np
import pytest

from jointbert import checkpoint
from jointbert.checkpoint import Progress, Store, only_one, written_whole
from modelparity.errors import InputError, UsageError

ARRAYS = {"model/a": np.arange(6, dtype=np.float32).reshape(2, 3), "step/a": np.array(3.0)}


def progress(updates: int) -> Progress:
    return Progress([0.1] * updates, [{"loss": 1.0, "semantic_frame_acc": 0.5}], 0)


def test_what_was_saved_comes_back(tmp_path: Path):
    store = Store(tmp_path, {"epochs": 3}, 5)
    store.save(ARRAYS, progress(7))
    arrays, found = Store(tmp_path, {"epochs": 3}, 9).load()
    assert found == progress(7)
    assert {n: (a.dtype, a.tolist()) for n, a in arrays.items()} == {
        n: (a.dtype, a.tolist()) for n, a in ARRAYS.items()
    }


def test_a_later_checkpoint_takes_the_earlier_one_s_place(tmp_path: Path):
    store = Store(tmp_path, {}, 5)
    store.save(ARRAYS, progress(9))
    store.save(ARRAYS, progress(10))
    assert [path.name for path in store.files()] == ["00000010-0001.safetensors"]


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store(tmp_path, {}, 5)
    store.save(ARRAYS, progress(5))

    def full(_arrays: object, path: Path, _header: object) -> None:
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(InputError, match="No space left on device"):
        store.save(ARRAYS, progress(10))
    assert [path.name for path in tmp_path.iterdir()] == ["00000005-0001.safetensors"]
    assert store.load()[1] == progress(5)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        Store(tmp_path / "file" / "below", {}, 5).save(ARRAYS, progress(5))


def test_other_options_are_refused_by_name(tmp_path: Path):
    Store(tmp_path, {"epochs": 3, "seed": 1}, 5).save(ARRAYS, progress(5))
    with pytest.raises(UsageError, match="seed was 1 and is now 2"):
        Store(tmp_path, {"epochs": 3, "seed": 2}, 5).load()


def test_a_broken_file_is_named(tmp_path: Path):
    (tmp_path / "00000005-0001.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"00000005-0001\.safetensors: not a checkpoint"):
        Store(tmp_path, {}, 5).load()


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    (tmp_path / ".a.123.unfinished").write_text("half")
    with written_whole(tmp_path / "a") as path:
        path.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_two_processes_do_not_train_into_one_directory(tmp_path: Path):
    with (
        only_one(tmp_path),
        pytest.raises(UsageError, match="another process"),
        only_one(tmp_path),
    ):
        pass


def test_patience_counts_epochs_behind_the_best():
    one = Progress()
    for accuracy in (0.1, 0.3, 0.2):
        one.add({"semantic_frame_acc": accuracy, "loss": 1.0, "predictions": np.zeros(3)})
    assert (one.best, one.finished(9, 2), one.finished(9, 1), one.finished(3, 0)) == (
        1,
        False,
        True,
        True,
    )


def test_equal_accuracies_are_told_apart_by_the_loss():
    one = Progress()
    assert one.add({"semantic_frame_acc": 0.5, "loss": 2.0})
    assert one.add({"semantic_frame_acc": 0.5, "loss": 1.0})
    assert not one.add({"semantic_frame_acc": 0.5, "loss": 1.0})
