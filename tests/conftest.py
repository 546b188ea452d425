"""What the tests share: the package `toy`, and its recordings, made once."""

import gc
import sys

import pytest

from toy.recorded import put_right, record_both


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """What is imported stays: looking through it after every model would take half of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Both sides of the toy, all ten steps; nobody may change these files."""
    return record_both(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def spare(recorded, tmp_path_factory):
    """One copy for all tests: copying costs less than a check, but removing hundreds more."""
    return recorded.copy(tmp_path_factory.mktemp("spare"))


@pytest.fixture
def copies(recorded, spare):
    """The toy's recordings, to be spoilt; put right again afterwards."""
    yield spare
    put_right(spare.reference, recorded.reference)
    put_right(spare.candidate, recorded.candidate)


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
