"""What the tests of JointBERT share: prepared settings and a small task to spoil."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jointbert.case import SETTINGS, prepare

Prepare = Callable[..., dict[str, Any]]
SHARED = Path(os.environ.get("MODELPARITY_SHARED", Path(__file__).parents[2].parent / "shared"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """The embedded case's settings with some changed; one directory for the whole session."""
    directory = tmp_path_factory.mktemp("embedded")

    def with_changes(**changes: Any) -> dict[str, Any]:
        return prepare({**SETTINGS, **changes}, directory)

    return with_changes


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task of three sentences a split, without label files."""
    for split in ("train", "dev", "test"):
        directory = tmp_path / "mine" / split
        directory.mkdir(parents=True)
        (directory / "seq.in").write_text("stop\nplay Björk\ngo to New York\n", encoding="utf-8")
        (directory / "seq.out").write_text("O\nO B-artist\nO O B-city I-city\n", encoding="utf-8")
        (directory / "label").write_text("stop\nplay\ngo\n", encoding="utf-8")
    return tmp_path / "mine"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of real data and weights that lies beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data: MODELPARITY_SHARED names {SHARED}, which does not exist")
    return SHARED
