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
from modelparity.errors import InputError
from modelparity.sides import FUNCTIONS
from modelparity.steps import STEPS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
QUOTED = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```\n", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
ELLIPSIS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FRAMEWORKS = ("torch", "paddle")


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def script(name: str):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps_faults():
    return script("steps_faults")


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
    clipped = re.search(r"(\d+) of (\d+) updates clipped", " ".join(backward["notes"]))
    assert 0 < int(clipped[1]) < int(clipped[2])


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
    from modelparity.layout import to_candidate
    from modelparity.pairing import pair

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


PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "ARCHITECTURE.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def reports(place: Path, name: str, report) -> Path:
    """The reports of a run, as `generate.py` reads them."""
    from modelparity.report import write_all

    write_all(report, place / name)
    return place / name


@pytest.fixture
def generate(tmp_path, monkeypatch):
    """docs/generate.py, which writes the whole record to a directory of the test's own."""
    module = script("generate")
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.md")
    return module


@pytest.fixture
def aligned_run(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(ROOT / "tests" / "report")
    example = importlib.import_module("example")
    return reports(tmp_path, "aligned", example.passing())


def test_the_readmes_failing_report_has_the_generated_form(generate):
    shown = generate.block(README, "failing")
    fence, command, *lines, end = shown.splitlines()
    assert (fence, end) == ("```console", "```")
    assert command == f"$ modelparity run jointbert --fault {generate.FAULT}"
    printed = "\n".join(lines) + "\nreports: out/jointbert/report.html, report.json\n"
    assert generate.failing(printed) == shown


def test_the_readmes_failing_report_is_of_a_fault_of_step_1(generate):
    from jointbert.faults import FAULTS

    assert {f.name: f.step for f in FAULTS}[generate.FAULT] == 1
    assert re.search(r"(?m)^ 1  forward +DIVERGED ", generate.block(README, "failing"))


def test_further_red_steps_are_left_out_of_the_failing_report(generate):
    golden = (ROOT / "tests" / "report" / "golden" / "failing.txt").read_text(encoding="utf-8")
    shown = generate.failing(golden)
    assert " 1  forward: DIVERGED" in shown
    assert " 7  backward: DIVERGED" not in shown
    assert shown.count("[...]") == 1
    assert golden.strip().splitlines()[-1] in shown


def test_the_readme_shows_the_totals_of_the_page_of_faults(generate):
    shown = generate.caught(generate.FAULTS.read_text(encoding="utf-8"))
    assert shown == generate.block(README, "caught")
    names = [row.split("|")[1].strip() for row in shown.splitlines()[2:]]
    assert names[0] == "modelparity"
    tools = {"reprod_log", "padiff", "polygraphy", "assert_close", "cosine"}
    assert {name.split()[0] for name in names[1:]} == tools


def test_the_readmes_record_has_the_generated_form(generate):
    head, rule, *rows = generate.block(README, "record").splitlines()
    assert head == f"| {' | '.join(generate.HEAD)} |"
    assert rule.count("---") == len(generate.HEAD)
    titles = [row.split(" | ")[0].strip("| ") for row in rows]
    assert [t for t in titles if t] == [f"{s.NUMBER} {s.TITLE}" for s in STEPS]
    assert all(row.count(" | ") == len(generate.HEAD) - 1 for row in rows)


def test_generating_twice_from_one_report_changes_nothing(generate, aligned_run):
    once = generate.write_record(aligned_run, README)
    whole = generate.RECORD.read_text(encoding="utf-8")
    assert generate.write_record(aligned_run, once) == once
    assert generate.RECORD.read_text(encoding="utf-8") == whole


def test_the_generated_record_shows_published_figures_beside_ours(generate, aligned_run):
    page = generate.write_record(aligned_run, README)
    rows = generate.block(page, "record").splitlines()
    assert any("`pooled_output` | 3.24e-07 | 2.7e-07 | 5.2e-16 | aligned" in row for row in rows)
    assert any(row.startswith("| 4 optimizer |  | no figure: *see 7* |") for row in rows)
    assert "## 10. Model training alignment" in generate.RECORD.read_text(encoding="utf-8")


def test_a_record_is_not_made_of_a_planted_fault(generate, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "report")
    example = importlib.import_module("example")
    place = reports(tmp_path, "failing", example.failing())
    with pytest.raises(InputError, match="planted fault"):
        generate.write_record(place, README)
    assert not generate.RECORD.exists()


def test_a_page_without_the_block_is_refused(generate):
    with pytest.raises(InputError, match="begin record"):
        generate.with_block("# A page\n", "record", "text")


def test_every_command_of_the_readme_is_one_of_ours():
    """Parsed, not run: the quickstart's tests run what can be run."""
    from modelparity.cli import _parser

    lines = [line for block in SHELL.findall(README) for line in block.splitlines()]
    words = [line.split() for line in lines]
    own = [line[1:] for line in words if line[0] == "modelparity"]
    targets = [line[1] for line in words if line[0] == "make"]
    assert len(own) + len(targets) >= 4
    for arguments in own:
        _parser().parse_args(arguments)
    made = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(targets) <= set(made)


def test_the_case_in_the_readme_is_a_case():
    scope: dict[str, Case] = {}
    [block] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), scope)
    assert isinstance(scope["CASE"], Case)


def test_the_readmes_side_has_functions_of_a_side():
    side = README.partition("# mine/original.py")[2].partition("```")[0]
    assert set(re.findall(r"def (\w+)\(", side)) <= set(FUNCTIONS)


def test_every_setting_of_jointbert_is_documented_with_its_default():
    from jointbert.case import SETTINGS

    table = read("jointbert.md").partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| `(.*?)` \|", table)
    assert dict(rows) == {name: json.dumps(value) for name, value in SETTINGS.items()}


def test_the_faults_named_in_jointberts_page_can_be_planted():
    from jointbert.faults import FAULTS, together

    named = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", read("jointbert.md")))
    planted = {fault.name for fault in (*FAULTS, *together.FAULTS)}
    assert named
    assert named <= planted


@pytest.mark.parametrize(("step", "key"), [(1, "pooled_output"), (3, "loss"), (7, "backward")])
def test_jointberts_page_quotes_the_figures_that_were_published(step, key):
    from jointbert.case import CASE

    [row] = re.findall(rf"(?m)^\| {step} .*$", read("jointbert.md"))
    assert f"{float(CASE.published[step][key]):.1e}" in row
