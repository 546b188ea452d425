"""`make evidence`: every figure stands beside its command, and what is not run is said."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import evidence  # noqa: E402
import evidence_page  # noqa: E402
from example import passing  # noqa: E402

from modelparity.report.json import as_json  # noqa: E402

RESULTS = (
    "# Results\n\nWritten by it.\n\n## ATIS\n\n| torch | epoch |\n|---|---|\n| mean | **1** |\n"
)


@pytest.fixture
def report():
    found = json.loads(as_json(passing()))
    interval = {"mean": 0.01, "low": -0.02, "high": 0.04, "margin": 0.1, "p": 0.5, "seeds": 16}
    [training] = [step for step in found["steps"] if step["number"] == 10]
    training["details"]["equivalence"] = {"loss, part 4 of 4": interval}
    training["coverage"]["seeds"] = 16
    return found


@pytest.fixture
def blocks(report):
    command, shown = "modelparity run jointbert --set x=1", evidence_page.excerpt(report)
    run = evidence_page.Run("atis", "ATIS, softmax", command, "2026-01-02", shown)
    return evidence_page.content([run], ["SNIPS, CRF"], RESULTS, "evidence")


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_each_section_has_its_command_its_report_and_every_step(blocks, form):
    if form == "markdown":
        text = evidence_page.as_markdown(blocks, "evidence.html")
    else:
        text = evidence_page.as_html(blocks)
    assert "modelparity run jointbert --set x=1" in text
    assert "evidence/atis.html" in text
    assert "Not run yet: SNIPS, CRF" in text
    assert "loss, part 4 of 4" in text
    for number in range(1, 11):
        assert f"{number} " in text
    assert "mean" in text


def test_the_curves_stand_on_the_html_page(blocks):
    assert evidence_page.as_html(blocks).count("<figure><svg") >= 2
    assert "evidence.html" in evidence_page.as_markdown(blocks, "evidence.html")


def test_the_page_shows_no_place_of_this_machine():
    [plan] = [p for p in evidence.planned(16) if p.name == "snips-crf"]
    assert plan.shown() == (
        "modelparity run jointbert --set data=DATA/snips --set checkpoint=CHECKPOINT --set crf=true"
    )
    command = plan.command({"DATA/snips": Path("/there")}, Path("out"))
    assert command[command.index("--set") + 1] == "data=/there"


def test_a_finished_run_is_not_run_again(tmp_path, monkeypatch):
    plan = evidence.planned(16)[0]
    given = Namespace(out=tmp_path / "out", page=tmp_path / "evidence.md")
    calls = []

    def pretend(command, **_options):
        calls.append(command)
        written = given.out / plan.name
        written.mkdir(parents=True, exist_ok=True)
        (written / "report.json").write_text(as_json(passing()))
        (written / "report.html").write_text("it")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(evidence.subprocess, "run", pretend)
    for _ in range(2):
        evidence.run(plan, {}, given)
    assert len(calls) == 1
    [run] = evidence.write([plan], given.page)
    assert run.report["outcome"] == "aligned"
    assert (tmp_path / "evidence" / "embedded.html").exists()
    assert "evidence/embedded.html" in given.page.read_text()
    monkeypatch.setattr(evidence, "source", lambda: "other code")
    evidence.run(plan, {}, given)
    assert len(calls) == 2


def test_without_the_tasks_their_finished_ladders_stay_on_the_page(tmp_path, monkeypatch, report):
    page, kept = tmp_path / "evidence.md", tmp_path / "evidence"
    kept.mkdir()
    made = {"command": "it", "source": "", "date": "2026-01-02"}
    shown = json.dumps({**made, "report": evidence_page.excerpt(report)})
    (kept / "atis.json").write_text(shown)
    arguments = ["evidence.py", "--page-only", "--page", str(page), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert evidence.main() == 3  # the embedded task's are not there
    assert "## ATIS, softmax: aligned" in page.read_text()
    for name in ("embedded", "embedded-crf"):
        (kept / f"{name}.json").write_text(shown)
    assert evidence.main() == 0
