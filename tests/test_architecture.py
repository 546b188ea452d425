"""What the shape of the code promises: the judging half loads no framework, imports point down."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST = 300  # lines
FRAMEWORKS = ("torch", "paddle", "jax", "tensorflow", "transformers", "tokenizers")
JUDGING = ("modelparity", "modelparity.cli", "modelparity.check", "modelparity.record")


def frameworks_after(program, *path):
    """Which frameworks a fresh interpreter has loaded after a program."""
    ask = f"{program}\nimport sys\nprint(*sorted(set({FRAMEWORKS!r}) & set(sys.modules)))"
    paths = os.pathsep.join(map(str, (SOURCE, *path)))
    run = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


@pytest.mark.parametrize("module", JUDGING)
def test_the_judging_half_loads_no_framework(module):
    assert frameworks_after(f"import {module}") == []


def test_a_loaded_framework_would_be_seen(tmp_path):
    (tmp_path / "torch.py").touch()
    assert frameworks_after("import modelparity.cli, torch", tmp_path) == ["torch"]


def test_checking_recordings_loads_no_framework(recorded):
    program = (
        "from pathlib import Path; from modelparity import check\n"
        f"check(Path({str(recorded.reference)!r}), Path({str(recorded.candidate)!r}))"
    )
    assert frameworks_after(program) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_module_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def imported(path):
    """The absolute names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def code_words(path):
    """A file's identifiers and texts, but for the docstrings and the words of the help."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


LADDER = sorted((SOURCE / "modelparity").rglob("*.py"))


@pytest.mark.parametrize("path", LADDER, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_the_ladder_knows_no_model(path):
    assert not [name for name in imported(path) if name.partition(".")[0] == "jointbert"]
    named = [word for word in code_words(path) if "jointbert" in word.lower()]
    assert named in ([], ["a name (jointbert) or module:attribute"])  # an example in the help


def test_import_contracts_hold():
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    before = Path.cwd()
    os.chdir(ROOT)
    try:
        assert lint_imports() == EXIT_STATUS_SUCCESS
    finally:
        os.chdir(before)


def test_a_broken_contract_would_be_seen(tmp_path):
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    (tmp_path / "upper.py").touch()
    (tmp_path / "lower.py").write_text("import upper\n")
    contract = "[tool.importlinter]\nroot_packages = ['upper', 'lower']\n"
    contract += "[[tool.importlinter.contracts]]\nname = 'down'\ntype = 'layers'\n"
    (tmp_path / "pyproject.toml").write_text(contract + "layers = ['upper', 'lower']\n")
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False
    )
    assert run.returncode == 1
