"""Each side's process needs only its own framework, and judging needs none."""

import importlib.util
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from command import modelparity

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
TORCH, PADDLE = ("torch", "transformers", "seqeval"), ("paddle", "tokenizers")
both = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "paddle"))),
    reason="both sides run: PyTorch and PaddlePaddle are needed",
)


def interpreter(directory, name, absent):
    """An interpreter in which these packages are not installed."""
    site = directory / name
    site.mkdir()
    (site / "sitecustomize.py").write_text(WITHOUT.format(names=absent), encoding="utf-8")
    path = directory / f"python-{name}"
    exported = f'PYTHONPATH="{site}{os.pathsep}$PYTHONPATH"'
    path.write_text(f'#!/bin/sh\n{exported} exec "{sys.executable}" "$@"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def as_itself(python, *arguments, directory, **changes):
    """The command in the environment of such an interpreter."""
    site = python.with_name(python.name.removeprefix("python-"))
    tests = str(Path(__file__).resolve().parent)
    return modelparity(
        directory, *arguments, PYTHONPATH=os.pathsep.join((str(site), tests)), **changes
    )


@both
def test_two_interpreters_record_and_a_third_judges(tmp_path):
    # transformers reads tokenizers, and so the reference needs both.
    torch_only = interpreter(tmp_path, "torch-only", ("paddle",))
    paddle_only = interpreter(tmp_path, "paddle-only", TORCH)
    neither = interpreter(tmp_path, "neither", (*TORCH, *PADDLE))
    how = ("--reference-python", torch_only, "--candidate-python", paddle_only)
    small = ("--steps", "1,2,5", "--set", "layers=1", "--quiet")
    run = as_itself(neither, "run", "jointbert", *how, *small, directory=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    out = tmp_path / "out" / "jointbert"
    sides = (out / "reference", out / "candidate", "--steps", "1,2,5")
    checked = as_itself(neither, "check", *sides, "--out", "again", directory=tmp_path)
    assert checked.returncode == 0, checked.stderr
    reports = [(path / "report.json").read_text() for path in (out, tmp_path / "again")]
    assert reports[0] == reports[1]
    outcomes = {s["number"]: s["outcome"] for s in json.loads(reports[0])["steps"]}
    assert [outcomes[number] for number in (1, 2, 5)] == ["aligned"] * 3


@pytest.mark.parametrize(
    ("role", "absent", "needed"),
    [("reference", ("torch",), "torch"), ("candidate", ("paddle",), "paddle")],
)
def test_a_side_without_its_framework_says_which_it_needs(tmp_path, role, absent, needed):
    python = interpreter(tmp_path, "lacking", absent)
    given = ()
    if role == "candidate":
        (tmp_path / "given" / "model").mkdir(parents=True)
        (tmp_path / "given" / "model" / "manifest.json").write_text("{}")
        given = ("--given", "given")
    how = ("--side", role, "--python", python, "--out", "o", *given)
    run = modelparity(tmp_path, "record", "jointbert", *how, "--steps", "2", "--quiet")
    assert run.returncode == 2
    assert run.stderr.endswith(f"there is no module {needed}; is it installed?\n"), run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_an_interpreter_without_the_ladder_is_told_apart(tmp_path):
    python = interpreter(tmp_path, "bare", ("modelparity",))
    how = ("--side", "reference", "--python", python, "--out", "o")
    run = modelparity(tmp_path, "record", "toy", *how, "--steps", "2", "--quiet")
    assert run.returncode == 2
    assert f"{python}: cannot run modelparity: " in run.stderr
    assert run.stderr.endswith("install it there\n")


def test_the_fakes_hide_what_they_are_told_to(tmp_path):
    python = interpreter(tmp_path, "numberless", ("numpy",))
    run = modelparity(
        tmp_path, "record", "toy", "--side", "reference", "--python", python, "--out", "o"
    )
    assert run.returncode == 2
    assert "numpy" in run.stderr
