"""Shared code is seen wherever the user keeps it; libraries and the ladder never count."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from command import environment, modelparity
from modelparity import witness
from modelparity.witness import Witness

SHARED = "def batches(right, *arguments):\n    return right(*arguments)\n"
SIDE = """
from toy.{role} import *
from toy.{role} import evaluation_batches as right
from common import batches

def evaluation_batches(settings, split):
    return batches(right, settings, split)
"""


def with_shared_code(directory):
    (directory / "common.py").write_text(SHARED)
    for role in ("reference", "candidate"):
        (directory / f"my_{role}.py").write_text(SIDE.format(role=role))
    sides = ("--reference", "my_reference", "--candidate", "my_candidate")
    return modelparity(directory, "run", "toy", "--steps", "2,8", "--quiet", *sides)


def test_a_function_that_both_sides_run_makes_its_step_inconclusive(tmp_path):
    run = with_shared_code(tmp_path)
    report = json.loads((tmp_path / "out" / "toy" / "report.json").read_text(encoding="utf-8"))
    outcomes = {step["number"]: step for step in report["steps"]}
    assert run.returncode == 3, run.stderr
    assert "shared code: both sides run common:batches" in outcomes[2]["reason"]
    assert outcomes[8]["outcome"] == "aligned"


def seen(directory, source, monkeypatch, **how):
    """What a witness says of running `f()` of a module in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "seen_module.py").write_text(source)
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.delitem(sys.modules, "seen_module", raising=False)
    import seen_module

    with Witness(how.get("sides", ("other.side",)), how.get("allowed", ())).watching() as ran:
        seen_module.f()
    return {name for name in ran if not name.startswith("test_")}


def test_a_user_s_function_is_named_with_its_module_and_line(tmp_path, monkeypatch):
    assert seen(tmp_path, "\ndef f():\n    pass\n", monkeypatch) == {"seen_module:f:2"}


def test_a_project_below_the_interpreter_s_own_directory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    found = seen(tmp_path / "src", "def f():\n    pass\n", monkeypatch)
    assert found == {"seen_module:f:1"}


def test_installed_code_does_not_count(tmp_path, monkeypatch):
    place = tmp_path / "site-packages"
    assert seen(place, "import json\ndef f():\n    json.dumps({})\n", monkeypatch) == set()


def test_installed_code_of_a_side_s_own_package_counts(tmp_path, monkeypatch):
    found = seen(
        tmp_path / "site-packages", "def f():\n    pass\n", monkeypatch, sides=("seen_module.side",)
    )
    assert found == {"seen_module:f:1"}


def test_a_module_that_may_be_shared_does_not_count(tmp_path, monkeypatch):
    found = seen(tmp_path, "def f():\n    pass\n", monkeypatch, allowed=("seen_module",))
    assert found == set()


def test_the_ladder_s_own_code_does_not_count(tmp_path, monkeypatch):
    source = "from modelparity.masks import keep_mask\ndef f():\n    keep_mask((1, 2), (3,), 0.5)\n"
    assert seen(tmp_path, source, monkeypatch) == {"seen_module:f:2"}


def test_copies_of_one_function_in_two_modules_are_two_functions(tmp_path, monkeypatch):
    (tmp_path / "twin_module.py").write_text("def f():\n    return 1\n")
    source = "def f():\n    return 1\n\nimport twin_module\ng, h = f, twin_module.f\n"
    source += "def f():\n    return g() + h()\n"
    found = seen(tmp_path, source, monkeypatch)
    assert found == {"seen_module:f:1", "twin_module:f:1", "seen_module:f:6"}


def test_a_ladder_that_runs_from_a_zip_file_is_no_shared_code(tmp_path):
    package = Path(witness.__file__).parent
    with zipfile.ZipFile(tmp_path / "ladder.zip", "w") as archive:
        for path in package.rglob("*.py"):
            archive.write(path, path.relative_to(package.parent))
    known = environment()
    known["PYTHONPATH"] = f"{tmp_path / 'ladder.zip'}:{known['PYTHONPATH']}"
    program = (
        "import modelparity.cli as c; print(c.__file__); c.main(['run', 'toy', '--steps', '2'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=known,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.startswith(str(tmp_path / "ladder.zip")), run.stderr
    assert "aligned: 1 of 1 claimed steps aligned" in run.stdout
