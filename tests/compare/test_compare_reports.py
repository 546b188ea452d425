"""Reports of a comparison: the same facts in every format, whatever the names are."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from compare_holding import compared

from modelparity.compare.report import FORMATS, write_all
from modelparity.compare.report.table import as_table
from modelparity.report.text import cells

ONES = np.ones((2, 3), np.float32)
EVIL = "weight\x1b[31m\n|`<b>\u202e"


@pytest.fixture(scope="module")
def found():
    bad = ONES.copy()
    bad[1, 2] = np.nan
    candidate = {"fine": ONES, "bad": bad, EVIL: ONES * 2, "empty": np.ones(0)}
    reference = {"fine": ONES, "bad": ONES, EVIL: ONES, "empty": np.ones(0), "gone": ONES}
    return compared(candidate, reference, full=True)


def test_json_holds_every_tensor_worst_first(found):
    data = json.loads(FORMATS["json"](found))
    assert data["outcome"] == "diverged"
    assert data["counts"] == {"aligned": 1, "diverged": 3, "inconclusive": 1}
    assert [t["outcome"] for t in data["tensors"]] == ["diverged"] * 3 + ["inconclusive", "aligned"]
    bad = next(t for t in data["tensors"] if t["name"] == "bad")
    assert bad["figures"]["first_nonfinite"] == [1, 2]
    assert bad["ratio"] == "Infinity"
    gone = next(t for t in data["tensors"] if t["name"] == "gone")
    assert (gone["candidate"], gone["paired_by"], gone["figures"]) == (None, None, None)


def test_junit_has_a_case_for_each_tensor(found):
    suite = ElementTree.fromstring(FORMATS["junit"](found))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "3", "1")
    assert len(suite.findall("testcase/failure")) == 3
    assert len(suite.findall("testcase/error")) == 1


def test_an_empty_comparison_is_an_error_for_junit():
    suite = ElementTree.fromstring(FORMATS["junit"](compared({}, {})))
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_markdown_is_a_table(found):
    lines = FORMATS["markdown"](found).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + 5
    assert all(line.count(" | ") >= 7 for line in rows)


def test_the_table_is_eighty_columns_wide(found):
    text = as_table(found)
    assert max(map(len, text.splitlines())) <= 80
    assert (
        text.splitlines()[-1]
        == (
            "DIVERGED: of 5 tensors 3 diverged, 1 inconclusive, 1 aligned; 18 elements compared"[
                :80
            ]
        )
        or "DIVERGED: of 5 tensors" in text
    )


def test_the_table_shows_long_names_whole():
    names = [f"encoder.layer.{i}.attention.self.query.weight" for i in range(3)] + ["層" * 90]
    text = as_table(compared(dict.fromkeys(names, ONES), dict.fromkeys(names, ONES)))
    assert max(map(cells, text.splitlines())) <= 80
    assert all(name in text.replace("\n", "") for name in names)


@pytest.mark.parametrize("name", FORMATS)
def test_no_report_lets_a_name_command_the_terminal(name, found):
    text = FORMATS[name](found)
    assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_all_reports_are_written(found, tmp_path):
    paths = write_all(found, tmp_path / "new")
    assert sorted(p.name for p in paths) == ["diff.json", "diff.md", "junit.xml"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in paths)


def test_many_aligned_tensors_are_counted_not_listed():
    many = {str(i): ONES for i in range(1_200)}
    data = json.loads(FORMATS["json"](compared(many, many)))
    assert (len(data["tensors"]), data["left_out"], data["counts"]["aligned"]) == (1000, 200, 1200)
