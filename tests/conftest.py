"""What the tests share: the package `toy`, and its recordings, made once."""

import sys

import pytest

from toy.recorded import record_both


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Both sides of the toy, all ten steps; nobody may change these files."""
    return record_both(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def copies(recorded, tmp_path):
    """The toy's recordings, to be spoilt."""
    return recorded.copy(tmp_path)


@pytest.fixture
def side(tmp_path, monkeypatch):
    """Makes a side outside the toy's package: writes a module and puts it on the path."""
    directory = tmp_path / "sides"
    directory.mkdir()
    monkeypatch.syspath_prepend(str(directory))

    def write(name, source):
        (directory / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write
