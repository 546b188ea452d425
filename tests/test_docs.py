"""The documentation is true: its pages are executed or compared with what they describe."""

import doctest
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from modelparity import Case, Fault
from modelparity.adapters import REQUIRED
from modelparity.record import FUNCTIONS
from modelparity.steps import STEPS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
QUOTED = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```\n", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
ELLIPSIS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FRAMEWORKS = ("torch", "paddle")


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def steps_faults():
    spec = importlib.util.spec_from_file_location("steps_faults", DOCS / "steps_faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Command:
    """One command of a page, what the page says it prints, and what it printed."""

    line: str
    expected: str
    printed: str


def commands(page: str) -> list[tuple[str, str]]:
    """(command, expected output) of every console block, in order."""
    found = []
    for block in CONSOLE.findall(page):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            line, _, expected = part.partition("\n")
            found.append((line, expected))
    return found


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory) -> tuple[Path, list[Command]]:
    """The commands of quickstart.md, run one after another by one shell beside the examples."""
    for name in FRAMEWORKS:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    place = tmp_path_factory.mktemp("quickstart")
    for name in ("examples", "src"):
        (place / name).symlink_to(ROOT / name)
    (place / "bin").mkdir()
    shim = place / "bin" / "modelparity"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelparity.cli "$@"\n')
    shim.chmod(0o755)
    listed = commands(read("quickstart.md"))
    mark = "-- end of a command --"
    script = "\n".join(f'{line}\nstatus=$?\necho "{mark}"\n(exit $status)' for line, _ in listed)
    path = [str(place / "bin"), os.environ["PATH"]]
    sources = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": os.pathsep.join(filter(None, reversed(sources))),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = done.stdout.split(f"{mark}\n")[:-1]
    assert len(outputs) == len(listed), done.stdout
    ran = [
        Command(line, expected, printed)
        for (line, expected), printed in zip(listed, outputs, strict=True)
    ]
    return place, ran


def report(place: Path, name: str) -> dict:
    return json.loads((place / "out" / name / "report.json").read_text())


@pytest.mark.slow
def test_the_quickstart_prints_what_it_says(quickstart):
    checker = doctest.OutputChecker()
    for command in quickstart[1]:
        same = checker.check_output(command.expected, command.printed, ELLIPSIS)
        assert same, f"$ {command.line}\n{command.printed}"


def test_the_quickstart_has_commands_to_run():
    assert sum("modelparity run" in line for line, _ in commands(read("quickstart.md"))) >= 2


def test_another_output_than_the_pages_is_noticed():
    page = "```console\n$ echo 1\n0\n```"
    [(line, expected)] = commands(page)
    assert line == "echo 1"
    assert not doctest.OutputChecker().check_output(expected, "1\n", ELLIPSIS)


@pytest.mark.slow
def test_the_digits_port_is_aligned_in_all_ten_steps(quickstart):
    steps = report(quickstart[0], "digits")["steps"]
    outcomes = {step["number"]: (step["outcome"], step["reason"]) for step in steps}
    assert {n: o for n, (o, _) in outcomes.items()} == dict.fromkeys(range(1, 11), "aligned"), (
        outcomes
    )


@pytest.mark.slow
def test_the_digits_port_pairs_running_statistics(quickstart):
    """They are parameters: eight that are trained and four running statistics."""
    forward = report(quickstart[0], "digits")["steps"][0]
    assert forward["coverage"]["parameters"] == 12


@pytest.mark.slow
def test_the_digits_port_is_clipped_while_it_trains(quickstart):
    backward = report(quickstart[0], "digits")["steps"][6]
    clipped = re.search(r"(\d+) of 24 updates clipped", " ".join(backward["notes"]))
    assert 0 < int(clipped[1]) < 24


@pytest.mark.slow
def test_a_port_that_does_not_clip_is_first_red_at_regularisation(quickstart):
    steps = report(quickstart[0], "wrong")["steps"]
    red = [step["number"] for step in steps if step["outcome"] != "aligned"]
    assert red[0] == 6


@pytest.mark.slow
def test_a_port_that_does_not_clip_is_told_where(quickstart):
    assert report(quickstart[0], "wrong")["steps"][5]["reason"].startswith("float64/clip/above/")


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_a_quoted_file_is_the_file(page):
    for path, text in QUOTED.findall(page.read_text(encoding="utf-8")):
        assert text == (ROOT / path).read_text(encoding="utf-8"), f"{page.name} quotes {path}"


def test_every_file_of_the_example_is_quoted():
    quoted = {path for path, _ in QUOTED.findall(read("sides.md"))}
    files = {f"examples/digits/{p.name}" for p in (ROOT / "examples" / "digits").glob("*.py")}
    assert quoted == files - {"examples/digits/__init__.py"}


def test_the_rules_in_the_docs_are_rules():
    blocks = re.findall(r"(?<!-->\n)```python\n(.*?)```", read("sides.md"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/sides.md", "exec"), {})


def test_the_rules_in_the_docs_pair_as_the_page_says():
    import numpy as np

    from modelparity import Rule
    from modelparity.pairing import pair, to_candidate

    names = [f"a.{part}.bias" for part in ("query", "key", "value")]
    block = re.search(r"(?<!-->\n)```python\n(.*?)```", read("sides.md"), re.DOTALL)[1]
    scope: dict[str, Rule] = {}
    exec(compile(block, "docs/sides.md", "exec"), scope)
    pairs = pair(
        [*names, "a.b.weight"], ["a.qkv.bias", "a.b.kernel"], [scope["LINEAR"], scope["FUSED"]]
    )
    arrays = {name: np.full(2, float(i)) for i, name in enumerate(names)}
    arrays["a.b.weight"] = np.arange(6.0).reshape(2, 3)
    shapes = {"a.qkv.bias": (6,), "a.b.kernel": (3, 2)}
    laid = to_candidate(pairs, arrays, shapes)
    assert laid["a.qkv.bias"].tolist() == [0, 0, 1, 1, 2, 2]
    assert laid["a.b.kernel"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_a_side_is_documented(name):
    assert f"| `{name}` |" in read("sides.md")


@pytest.mark.parametrize("name", [field.name for field in fields(Case)])
def test_every_field_of_a_case_is_documented(name):
    table = read("sides.md").partition("## Writing a case")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    assert any(f"`{name}`" in row for row in rows)


@pytest.mark.parametrize("name", REQUIRED)
def test_every_function_of_an_adapter_is_documented(name):
    assert f"`{name}`" in read("sides.md").partition("## Writing an adapter")[2]


def test_every_step_has_its_section_in_order():
    titles = re.findall(r"(?m)^## (\d+)\. (.+)$", read("steps.md"))
    assert [(int(n), t.lower()) for n, t in titles] == [(s.NUMBER, s.TITLE) for s in STEPS]


@pytest.mark.parametrize("number", range(1, 11))
def test_every_step_says_what_it_cannot_show(number):
    section = re.split(r"(?m)^## ", read("steps.md"))[number]
    for lead in ("**Claim.**", "**Recorded.**", "**Judged.**", "**It does not show**"):
        assert lead in section


def fault(name: str, step: int, equivalent: str = "") -> Fault:
    return Fault(name, step, "site", "cause", lambda functions: functions, equivalent)


def test_the_list_of_faults_goes_to_its_steps():
    page = "top\n\n## 1. One\n\ntext\n\n## 2. Two\n\ntext\n"
    listed = [fault("a", 2), fault("b", 2), fault("same", 1, "changes nothing")]
    once = steps_faults().with_faults(page, listed)
    assert once == page + "\n**Planted faults it catches.** `a`, `b`.\n"
    assert steps_faults().with_faults(once, []) == page


def test_the_steps_name_the_planted_faults_of_jointbert():
    faults = pytest.importorskip("jointbert.faults").__dict__.get("FAULTS")
    if not faults:
        pytest.skip("jointbert.faults has no FAULTS yet")
    page = read("steps.md")
    assert page == steps_faults().with_faults(page, faults), "run python docs/steps_faults.py"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_links_of_a_page_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
