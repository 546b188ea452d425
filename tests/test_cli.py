"""The command line through the real command, on the toy."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command import COMMAND, environment, modelparity, refusal, tree
from toy.faults import FAULTS

REPORTS = {"alignment.md", "junit.xml", "report.html", "report.json", "report.md"}
CASE_LIKE = "from toy.case import CASE as TOY\nfrom dataclasses import replace\n"
SIDE_LIKE = "import os\nfrom toy.candidate import *\nfrom toy.candidate import evaluate as right\n"
EVALUATE = "def evaluate(model, settings, split):\n    "


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A finished run of two steps: its directory and what the command said."""
    directory = tmp_path_factory.mktemp("quick")
    return directory, modelparity(directory, "run", "toy", "--steps", "2,8")


def module(directory, name, source):
    (directory / f"{name}.py").write_text(source, encoding="utf-8")
    return name


def told(directory, run):
    """The outcome of each step in the report of a run."""
    assert run.returncode != 2, run.stderr
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    return {step["number"]: step["outcome"] for step in report["steps"]}


# What a run does


def test_an_aligned_run_exits_with_0(quick):
    assert quick[1].returncode == 0, quick[1].stderr


def test_a_diverged_run_exits_with_1(tmp_path):
    [fault, *_] = [f for f in FAULTS if f.step == 5 and not f.equivalent]
    run = modelparity(tmp_path, "run", "toy", "--steps", "5", "--fault", fault.name)
    assert run.returncode == 1, run.stderr
    assert told(tmp_path / "out" / "toy", run)[5] == "diverged"
    assert fault.name in run.stdout


def test_an_inconclusive_run_exits_with_3_and_says_why(tmp_path):
    module(tmp_path, "partial", "from toy.candidate import *\ndel evaluation_batches\n")
    run = modelparity(tmp_path, "run", "toy", "--steps", "2", "--candidate", "partial")
    assert run.returncode == 3, run.stderr
    assert "the candidate side offers no evaluation_batches()" in " ".join(run.stdout.split())


def test_diverged_outweighs_inconclusive(tmp_path):
    source = SIDE_LIKE + "del evaluate\ndef evaluation_batches(settings, split):\n    return []\n"
    module(tmp_path, "worse", source)
    run = modelparity(tmp_path, "run", "toy", "--steps", "2,3", "--candidate", "worse")
    assert run.returncode == 1, run.stdout


def test_a_case_may_be_named_by_module_and_attribute(tmp_path):
    module(tmp_path, "mine", CASE_LIKE + "OTHER = replace(TOY, name='other')\n")
    run = modelparity(tmp_path, "run", "mine:OTHER", "--steps", "5")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "other" / "report.json").exists()


def test_a_run_writes_both_recordings_and_every_report(quick):
    assert {p.name for p in (quick[0] / "out" / "toy").iterdir()} == REPORTS | {
        "reference",
        "candidate",
    }


def test_a_run_prints_the_ladder_and_where_the_reports_are(quick):
    lines = quick[1].stdout.splitlines()
    assert [line.split()[0] for line in lines[3:13]] == [str(n) for n in range(1, 11)]
    assert lines[-1].startswith(f"reports: {Path('out', 'toy', 'report.html')}")


def test_steps_that_were_not_asked_for_are_not_claimed(quick):
    outcomes = told(quick[0] / "out" / "toy", quick[1])
    assert {n for n, outcome in outcomes.items() if outcome == "aligned"} == {2, 8}
    assert quick[1].stdout.count("not claimed") == 9  # eight steps, and the summary


def test_progress_goes_to_standard_error_in_plain_lines(quick):
    assert "candidate: training data  1/2\n" in quick[1].stderr
    assert "\x1b" not in quick[1].stderr + quick[1].stdout


def test_a_quiet_run_says_nothing_but_the_ladder(tmp_path, quick):
    run = modelparity(tmp_path, "run", "toy", "--steps", "2,8", "--quiet")
    assert run.stderr == ""
    assert run.stdout == quick[1].stdout


def test_out_says_where_everything_goes(tmp_path):
    run = modelparity(tmp_path, "run", "toy", "--steps", "5", "--out", "deep/er")
    assert run.returncode == 0, run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert (tmp_path / "deep" / "er" / "report.json").exists()


def test_settings_reach_both_sides(tmp_path):
    run = modelparity(
        tmp_path, "run", "toy", "--steps", "5", "--set", "epochs=1", "--set", "seed=9"
    )
    assert run.returncode == 0, run.stderr
    for side in ("reference", "candidate"):
        path = tmp_path / "out" / "toy" / side / "learning_rate" / "manifest.json"
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        assert (settings["epochs"], settings["seed"]) == (1, 9)


def test_the_language_is_that_of_the_record(tmp_path, quick):
    recordings = quick[0] / "out" / "toy"
    both = [recordings / "reference", recordings / "candidate", "--steps", "2,8", "--quiet"]
    for language in ("en", "zh"):
        out = tmp_path / language
        run = modelparity(tmp_path, "check", *both, "--out", out, "--language", language)
        assert run.returncode == 0, run.stderr
    chinese = (tmp_path / "zh" / "alignment.md").read_text(encoding="utf-8")
    assert not chinese.isascii()
    assert chinese != (tmp_path / "en" / "alignment.md").read_text(encoding="utf-8")


def test_record_and_check_on_their_own_say_what_a_run_says(tmp_path, quick):
    steps = ("--steps", "2,8", "--quiet")
    first = modelparity(tmp_path, "record", "toy", "--side", "reference", "--out", "r", *steps)
    how = ("--given", "r", "--out", "c")
    second = modelparity(tmp_path, "record", "toy", "--side", "candidate", *how, *steps)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == "recorded the reference side in r\n"
    checked = modelparity(tmp_path, "check", "r", "c", *steps, "--out", "reports")
    assert checked.returncode == 0, checked.stderr
    ours = (tmp_path / "reports" / "report.json").read_text(encoding="utf-8")
    assert ours == (quick[0] / "out" / "toy" / "report.json").read_text(encoding="utf-8")


def test_a_record_that_had_to_leave_a_step_incomplete_says_so(tmp_path):
    module(tmp_path, "partial", "from toy.reference import *\ndel evaluation_batches\n")
    how = ("--module", "partial", "--out", "r", "--steps", "2,8", "--quiet")
    run = modelparity(tmp_path, "record", "toy", "--side", "reference", *how)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1:] == [
        "step 2 is incomplete: the reference side offers no evaluation_batches()"
    ]


def test_check_writes_nothing_unless_told_where(quick):
    before = tree(quick[0])
    run = modelparity(quick[0], "check", "out/toy/reference", "out/toy/candidate")
    assert run.returncode == 3, run.stderr  # eight steps were not recorded
    assert tree(quick[0]) == before


def test_faults_are_listed_for_programs(tmp_path):
    run = modelparity(tmp_path, "faults", "toy", "--json")
    rows = json.loads(run.stdout)
    fields = ("name", "step", "site", "cause", "equivalent")
    assert rows == [{field: getattr(fault, field) for field in fields} for fault in FAULTS]
    assert run.returncode == 0


def test_faults_are_listed_for_people(tmp_path):
    run = modelparity(tmp_path, "faults", "toy")
    assert all(fault.name in run.stdout for fault in FAULTS)


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["run"], "the following arguments are required: CASE"),
        (["run", "toy", "--fast"], "unrecognized arguments: --fast"),
        (["run", "nowhere"], "case nowhere: there is no module nowhere"),
        (["run", "json:CASE"], "case json:CASE: module json has no CASE"),
        (["run", "json:loads"], "json:loads is not a modelparity.Case"),
        (["run", "broken:CASE"], "broken cannot be imported: ZeroDivisionError"),
        (["run", "unready:CASE"], "its prepare() failed: KeyError"),
        (["run", "toy", "--steps", "0"], "--steps 0: the steps are 1 to 10"),
        (["run", "toy", "--steps", "1,x"], "--steps 1,x: expected numbers"),
        (["run", "toy", "--steps", "1,,2"], "--steps 1,,2: expected numbers"),
        (["run", "toy", "--set", "seed"], "--set seed: expected KEY=VALUE"),
        (["run", "toy", "--set", "sede=1"], "--set sede: case toy has no such setting"),
        (["run", "toy", "--set", "seed=one"], "--set seed=one: expected a whole number"),
        (["run", "toy", "--set", "rate=high"], "--set rate=high: expected a number"),
        (["run", "toy", "--set", "constant=1"], "--set constant=1: expected true or false"),
        (["run", "toy", "--fault", "gremlin"], "--fault gremlin: case toy has no such fault"),
        (["run", "toy", "--language", "fr"], "invalid choice: 'fr'"),
        (["run", "toy", "--reference", "no.where"], "side no.where: there is no module no"),
        (["run", "toy", "--candidate", "no.where"], "side no.where: there is no module no"),
        (["run", "toy", "--candidate", "json"], "side json: it does not say its ADAPTER"),
        (
            ["run", "toy", "--candidate", "broken"],
            "ZeroDivisionError: division by zero (broken.py:1",
        ),
        (["run", "toy", "--candidate", "leaves"], "side leaves: it cannot be imported: SystemExit"),
        (["run", "toy", "--candidate", "lame"], "adapter json: it lacks versions"),
        (["run", "toy", "--reference-python", "no/python"], "no/python: cannot be started"),
        (["run", "toy", "--candidate-python", "no/python"], "no/python: cannot be started"),
        (["run", "toy", "--candidate-python", "./odd"], "./odd: cannot run modelparity: what?"),
        (["run", "toy", "--out", "broken.py"], "broken.py: cannot be written to"),
        (["record", "toy", "--out", "o"], "the following arguments are required: --side"),
        (["record", "toy", "--side", "candidate", "--out", "o"], "--given REFERENCE_DIR"),
        (["record", "toy", "--side", "reference", "--out", "o", "--given", "."], "--given"),
        (["record", "toy", "--side", "candidate", "--given", "x", "--out", "o"], "x: there are no"),
        (["record", "toy", "--side", "reference", "--out", "."], "other than recordings"),
        (["check", "x", "y"], "x: there is no such directory of recordings"),
        (["check", ".", "."], "there are no recordings in it"),
        (["faults", "nowhere"], "case nowhere: there is no module nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_refused_in_one_line(tmp_path, arguments, said):
    module(tmp_path, "broken", "1 / 0\n")
    module(tmp_path, "leaves", "raise SystemExit(0)\n")
    module(tmp_path, "lame", "ADAPTER = 'json'\n")
    module(
        tmp_path,
        "unready",
        CASE_LIKE + "CASE = replace(TOY, prepare=lambda settings, directory: {}['x'])\n",
    )
    (tmp_path / "odd").write_text("#!/bin/sh\necho what? >&2\nexit 0\n")
    (tmp_path / "odd").chmod(0o755)
    assert said in refusal(tmp_path, *arguments)


def test_an_out_that_holds_other_files_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "out" / "toy" / "candidate").mkdir(parents=True)
    (tmp_path / "out" / "toy" / "candidate" / "thesis.tex").write_text("precious")
    assert "other than recordings" in refusal(tmp_path, "run", "toy", "--quiet")


# A side that fails


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os._exit(7)", "ended with status 7 while recording metrics"),
        ("os._exit(0)", "ended with status 0 while recording metrics"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9 (SIGKILL) while recording metrics"),
        ("os.fork() or os.abort(); os.wait(); os.abort()", "signal 6 (SIGABRT) while recording"),
    ],
)
def test_a_side_that_dies_is_told_in_one_line(tmp_path, death, said):
    module(tmp_path, "mortal", SIDE_LIKE + EVALUATE + death + "\n")
    arguments = ("--steps", "3", "--candidate", "mortal", "--quiet")
    run = modelparity(tmp_path, "run", "toy", *arguments)
    assert run.returncode == 2, run.stdout
    assert len(run.stderr.splitlines()) == 1, run.stderr
    assert "the candidate side's process" in run.stderr
    assert said in run.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("process", "doing"),
    [
        ("'--beside' in words", "recording envelope."),
        ("words[words.index('--steps') + 1] == '10'", "recording training"),
        ("'--beside' not in words", "recording"),
    ],
    ids=["nudged", "long", "any"],
)
def test_a_process_of_the_reference_that_dies_ends_the_candidate_too(tmp_path, process, doing):
    source = (
        "import os, sys\nfrom toy.reference import *\nfrom toy.reference import update as right\n"
    )
    source += f"def update(*given):\n    words = sys.argv\n    if {process}:\n"
    source += "        os.kill(os.getpid(), 9)\n    right(*given)\n"
    module(tmp_path, "mortal", source)
    said = refusal(tmp_path, "run", "toy", "--steps", "4,10", "--reference", "mortal", "--quiet")
    assert "the reference side's process was killed by signal 9 (SIGKILL) while " + doing in said
    assert not (tmp_path / "out").exists()


ROUGH = """from toy.candidate import *
from toy.candidate import update as right

def update(model, optimizer, schedule, settings):
    right(model, optimizer, schedule, settings)
    for _, inner in model.modules():
        for key, p in inner.params.items():
            p *= 1.001 if p.dtype == "float32" else 1.0
"""


@pytest.mark.parametrize(("candidate", "code"), [("toy.candidate", 0), ("rough", 1)])
def test_as_many_nudged_runs_are_recorded_as_it_takes_to_judge(tmp_path, candidate, code):
    module(tmp_path, "rough", ROUGH)
    run = modelparity(tmp_path, "run", "toy", "--steps", "10", "--candidate", candidate, "--quiet")
    assert run.returncode == code, run.stdout
    recorded = len(list((tmp_path / "out" / "toy" / "reference").glob("envelope.*")))
    assert recorded == 4 if code else recorded < 4  # two at once on any number of cores


def test_a_function_that_raises_makes_its_step_inconclusive_and_is_named(tmp_path):
    module(tmp_path, "faulty", SIDE_LIKE + EVALUATE + "raise ValueError('so bad\\nand worse')\n")
    run = modelparity(tmp_path, "run", "toy", "--steps", "2,3", "--candidate", "faulty")
    assert run.returncode == 3, run.stderr
    assert told(tmp_path / "out" / "toy", run)[2] == "aligned"
    said = "the candidate side failed: ValueError: so bad (faulty.py:5, in evaluate)"
    assert said in " ".join(run.stdout.split())


def test_a_side_that_stops_its_process_is_told_in_one_line(tmp_path):
    module(tmp_path, "leaving", SIDE_LIKE + EVALUATE + "raise SystemExit(0)\n")
    arguments = ("--steps", "3", "--candidate", "leaving", "--quiet")
    run = modelparity(tmp_path, "run", "toy", *arguments)
    said = "the candidate side's process failed: SystemExit: 0 (leaving.py:5, in evaluate)"
    assert run.stderr == f"modelparity: {said}\n"
    assert run.returncode == 2


def test_the_whole_traceback_is_shown_when_asked_for(tmp_path):
    module(tmp_path, "faulty", SIDE_LIKE + EVALUATE + "raise ValueError('so bad')\n")
    arguments = ("run", "toy", "--steps", "3", "--candidate", "faulty", "--quiet")
    assert "Traceback" not in modelparity(tmp_path, *arguments).stderr
    loud = modelparity(tmp_path, *arguments, MODELPARITY_TRACEBACK="1")
    assert "Traceback (most recent call last)" in loud.stderr
    assert loud.returncode == 3


def test_what_a_side_prints_does_not_disturb_its_recording(tmp_path):
    noise = 'print("no end", end="")\n    os.write(1, b\'{"error": "mine"}\\n\\xff\\n\')\n'
    noise += "    os.system('echo from a child')\n    return right(model, settings, split)\n"
    module(tmp_path, "loud", SIDE_LIKE + EVALUATE + noise)
    arguments = ("--steps", "3", "--candidate", "loud", "--quiet")
    run = modelparity(tmp_path, "run", "toy", *arguments)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "no end" not in run.stdout
    assert "from a child" not in run.stdout


def test_what_a_side_leaves_running_does_not_keep_its_death_secret(tmp_path):
    death = "child = os.fork()\n    if child == 0:\n        import time\n        time.sleep(60)\n"
    module(tmp_path, "parent", SIDE_LIKE + EVALUATE + death + "    os._exit(7)\n")
    started = time.monotonic()
    run = modelparity(tmp_path, "run", "toy", "--steps", "3", "--candidate", "parent", "--quiet")
    assert "ended with status 7" in run.stderr
    assert time.monotonic() - started < 50


# Interruption and closed pipes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupted_run_ends_both_processes_and_leaves_nothing(tmp_path, number):
    wait = "open('pid', 'w').write(str(os.getpid()))\n    import time\n    time.sleep(100)\n"
    module(tmp_path, "slow", SIDE_LIKE + EVALUATE + wait)
    command = [*COMMAND, "run", "toy", "--steps", "3", "--reference", "slow", "--quiet"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        side = _when_written(tmp_path / "pid")
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert said == "modelparity: interrupted; nothing half-written is left\n"
    assert process.returncode == 130
    assert not (tmp_path / "out").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(side, 0)


def _when_written(path):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise TimeoutError(path)


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_reader_that_leaves_early_changes_no_exit_code(tmp_path, closed):
    read, write = os.pipe()
    os.close(read)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: write}
    command = [*COMMAND, "run", "toy", "--steps", "2"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), text=True, **streams
    ) as process:
        os.close(write)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in (out or "") + (err or "")
    assert {p.name for p in (tmp_path / "out" / "toy").iterdir()} >= REPORTS


def test_a_reader_that_leaves_early_ends_a_list_in_silence(tmp_path):
    program = 'modelparity() { %s -m modelparity.cli "$@"; }; modelparity faults toy | head -1'
    command = ["bash", "-o", "pipefail", "-c", program % sys.executable]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 1


def test_a_terminal_without_unicode_is_no_reason_to_fail(tmp_path):
    module(tmp_path, "accents", SIDE_LIKE + EVALUATE + "raise ValueError('Björk')\n")
    arguments = ("run", "toy", "--steps", "3", "--candidate", "accents", "--quiet")
    run = modelparity(tmp_path, *arguments, PYTHONIOENCODING="ascii")
    assert run.returncode == 3, run.stderr
    assert "Bj\\xf6rk" in run.stdout


def test_seeds_are_trained_beside_the_steps_and_stay_for_the_next_run(tmp_path):
    command = ("run", "toy", "--steps", "10", "--set", "seeds=2")
    first = modelparity(tmp_path, *command)
    assert first.returncode == 3, first.stderr  # two are too few
    assert "not enough seeds to tell" in " ".join(first.stdout.split())
    places = sorted((tmp_path / "out" / "toy").glob("*/seeds/*/manifest.json"))
    assert [place.parent.name for place in places] == ["0001", "0002"] * 2
    before = [place.stat().st_mtime_ns for place in places]
    assert modelparity(tmp_path, *command).returncode == 3
    assert [place.stat().st_mtime_ns for place in places] == before


def test_a_number_of_seeds_that_is_none_is_refused_before_anything_is_recorded(tmp_path):
    said = refusal(tmp_path, "run", "toy", "--steps", "10", "--set", "seeds=some")
    assert said == "modelparity: --set seeds=some: expected a whole number"
