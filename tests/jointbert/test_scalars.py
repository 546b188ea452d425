"""Curves for TensorBoard: readable by its own reader, and clear where it is missing."""

import sys
from pathlib import Path

import pytest

from jointbert.scalars import Scalars
from modelparity.errors import UsageError


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"modelparity\[tensorboard\]"):
        Scalars(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_curves_are_read_back(tmp_path: Path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="it is optional"
    )
    scalars = Scalars(tmp_path)
    for update in (1, 2):
        scalars.on_update(update, 2, 0.5 / update)
    scalars.on_epoch(1, {"loss": 3.0}, True)
    scalars.close()
    found = reader.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in found.Scalars("train/loss")] == [(1, 0.5), (2, 0.25)]
    assert [(e.step, e.value) for e in found.Scalars("dev/loss")] == [(2, 3.0)]
