"""docs/diff.md says what the code does."""

import argparse
import re
from dataclasses import fields
from pathlib import Path

import pytest

from modelparity.compare.command import add_options
from modelparity.compare.figures import Figures
from modelparity.compare.tolerances import Exact, of_dtype

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "diff.md").read_text(encoding="utf-8")


FLOATING = """
float64 complex128 float32 complex64 float16 bfloat16 float8_e4m3 float8_e5m2
"""


@pytest.mark.parametrize("dtype", FLOATING.split())
def test_the_tolerances_of_the_page_are_those_that_judge(dtype):
    [row] = re.findall(rf"(?m)^\| [^|]*\b{dtype}\b[^|]* \| (.*) \|$", PAGE)
    limit = of_dtype(dtype)
    assert row == f"{limit.rms:.2g} | {limit.peak:.2g}"


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64", "bool"])
def test_whole_numbers_are_exact(dtype):
    assert isinstance(of_dtype(dtype), Exact)


def test_every_figure_is_explained():
    named = set(re.findall(r"`(\w+)`", PAGE))
    unexplained = {field.name for field in fields(Figures)} - named
    assert unexplained == {"elements", "relative_floor"}


def test_every_option_is_known():
    parser = argparse.ArgumentParser()
    add_options(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"(?<![\w-])--[a-z]+", PAGE)) <= known
