"""The terminal's and the JSON report of a passing, a failing and an inconclusive run.

`MODELPARITY_GOLDENS=write pytest tests/report` writes them anew; read the difference.
"""

import os
from pathlib import Path

import pytest
from example import EXAMPLES

from modelparity.report.json import as_json
from modelparity.report.terminal import ladder

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("title", EXAMPLES)
@pytest.mark.parametrize(("suffix", "render"), [("txt", ladder), ("json", as_json)])
def test_a_report_is_rendered_as_it_was(title, suffix, render):
    text = render(EXAMPLES[title]()).rstrip("\n") + "\n"
    golden = GOLDEN / f"{title}.{suffix}"
    if os.environ.get("MODELPARITY_GOLDENS") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
