"""What the benchmarks of faults and clean runs claim of themselves."""

import importlib.metadata
import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from modelparity import Fault, InputError, Outcome, Verdict, check
from modelparity.model import Finding
from toy.faults import FAULTS as TOY
from toy.recorded import record_side

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import causes  # noqa: E402
import clean_grid  # noqa: E402
import clean_runs  # noqa: E402
import fault_pairs  # noqa: E402
import faults  # noqa: E402
import faults_page  # noqa: E402
import peer_tools  # noqa: E402
import peers  # noqa: E402

RUNS = clean_grid.sample(200, seed=0)


# clean runs


@pytest.mark.parametrize("axis", [a for a in clean_grid.AXES if a != "ignore_index"])
def test_every_value_of_an_axis_is_sampled_about_equally_often(axis):
    values = [run.axes[axis] for run in RUNS]
    counts = [values.count(value) for value in clean_grid.AXES[axis]]
    assert sum(counts) == len(RUNS)
    assert max(counts) - min(counts) <= 1


def test_only_runs_without_a_crf_ignore_a_negative_label():
    negative = [run.axes["crf"] for run in RUNS if run.axes["ignore_index"] == -100]
    assert negative == [False] * len(negative) != []


def test_a_longer_sample_begins_with_the_shorter_one():
    assert clean_grid.sample(230, seed=0)[:200] == RUNS


def test_another_seed_samples_other_runs():
    assert clean_grid.sample(200, seed=1) != RUNS


def test_no_two_runs_share_a_seed():
    assert len({run.changes["seed"] for run in RUNS}) == len(RUNS)


def test_the_sampled_settings_are_settings_of_the_case():
    known = set(pytest.importorskip("jointbert.case").SETTINGS)
    runs = [*RUNS, *clean_grid.real()]
    assert {name for run in runs for name in run.changes} <= known


def test_a_dozen_real_ladders_are_run_some_of_them_at_bert_bases_shape():
    runs = clean_grid.real()
    assert len(runs) >= 12
    assert [run for run in runs if run.checkpoint == "bert-base"]


@pytest.fixture
def task(tmp_path):
    """A task whose every line says which sentence it belongs to."""
    for split, count in (("train", 40), ("dev", 9), ("test", 5)):
        directory = tmp_path / "task" / split
        directory.mkdir(parents=True)
        for name in clean_grid.COLUMNS:
            text = "".join(f"{split}{n % 3 if name == 'label' else n}\n" for n in range(count))
            (directory / name).write_text(text)
    return tmp_path / "task"


def test_a_subset_keeps_sentences_and_their_labels_together(task, tmp_path):
    clean_grid.subset(task, tmp_path / "some", {"train": 7, "dev": 3, "test": 99}, 1)
    words, slots, intents = (
        (tmp_path / "some" / "train" / name).read_text().split() for name in clean_grid.COLUMNS
    )
    assert words == slots
    assert len(words) == 7
    assert intents == [f"train{int(word[5:]) % 3}" for word in words]


def test_a_subset_knows_the_labels_of_the_whole_task(task, tmp_path):
    clean_grid.subset(task, tmp_path / "some", {"train": 1, "dev": 1, "test": 1}, 0)
    known = (tmp_path / "some" / "slot_label.txt").read_text().split()
    assert {f"train{n}" for n in range(40)} <= set(known)


def test_a_missing_task_is_named(tmp_path):
    [run] = [r for r in RUNS if r.axes["task"] == "atis"][:1]
    with pytest.raises(InputError, match="data/atis: no such directory"):
        clean_grid.inputs(run, tmp_path, tmp_path / "out")


def test_a_drawn_checkpoint_is_one_that_the_reference_loads_whole(tmp_path, monkeypatch):
    """`load_weights` refuses a parameter that is missing, of another shape, or too many."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from jointbert.case import CASE
    from jointbert.embedded import write_model
    from jointbert.in_torch.side import build_model

    shape = {"layers": 1, "hidden": 8, "heads": 2, "intermediate": 16}
    monkeypatch.setattr(clean_grid, "BERT_BASE", shape)
    write_model(tmp_path / "like", CASE.settings)
    clean_grid.write_checkpoint(tmp_path / "like", tmp_path / "drawn")
    wanted = {**CASE.settings, "checkpoint": str(tmp_path / "drawn")}
    settings = CASE.prepare(wanted, tmp_path / "inputs")
    model = build_model(settings)
    config = model.config
    assert settings["pretrained"]
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (1, 8, 16)


def found(name="run", **outcomes):
    outcomes = {"1": "aligned", "3": "aligned", **{k.strip("_"): v for k, v in outcomes.items()}}
    reasons = {step: "why" for step, outcome in outcomes.items() if outcome != "aligned"}
    base = {"name": name, "axes": {"crf": True}, "checkpoint": "", "seconds": 1.0, "source": "s"}
    return {**base, "outcomes": outcomes, "reasons": reasons}


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (found(), 0),
        (found(_1="diverged"), 1),
        ({**found(), "failed": "no memory"}, 1),
        (found(_1="inconclusive"), 3),
        (found(_3="inconclusive"), 3),
    ],
    ids=["clean", "accused", "failed", "undecided", "undecided scores"],
)
def test_the_exit_code_is_that_of_the_worst_run(one, code):
    assert clean_runs.exit_code([found(), one]) == code


def test_scores_that_prove_nothing_leave_a_run_clean():
    one = found(_3="inconclusive")
    one["reasons"]["3"] = "dev/slot_f1: the reference scores 0, which proves nothing"
    assert clean_runs.exit_code([one]) == 0


def test_an_accused_run_is_named_with_the_step_and_its_reason():
    text = clean_runs.line(found("run-0007", _1="diverged"))
    assert text.startswith("ACCUSED run-0007")
    assert "step 1: why" in text


def test_the_bound_of_the_rate_is_that_of_a_binomial():
    assert "95 % upper bound of the rate: 1.5 %" in clean_runs.summary([found()] * 200)


def test_no_bound_is_claimed_where_a_run_was_accused():
    text = clean_runs.summary([found(), found(_1="diverged")])
    assert text.startswith("1 of 2 clean runs accused;")


def test_a_line_that_was_cut_off_is_no_result(tmp_path):
    whole = json.dumps({"key": "a", "name": "run"})
    (tmp_path / "r.jsonl").write_text(f"{whole}\n{whole[:-4]}")
    assert list(clean_runs.finished(tmp_path / "r.jsonl")) == ["a"]


def test_a_rerun_skips_what_is_there(tmp_path):
    """Nothing could be recorded here: the case's data are missing."""
    runs = [r for r in RUNS if r.axes["task"] == "atis"][:2]
    lines = [json.dumps({**found(run.name), "key": clean_runs.key(run)}) for run in runs]
    results = tmp_path / "sampled.jsonl"
    results.write_text("\n".join(lines) + "\n")
    given = Namespace(real=False, shared=tmp_path, out=tmp_path, jobs=1)
    assert [one["name"] for one in clean_runs.go(runs, given, results).values()] == [
        run.name for run in runs
    ]


def test_a_result_of_other_settings_is_not_taken_for_a_runs_own(tmp_path):
    [run] = [r for r in RUNS if r.axes["task"] == "atis"][:1]
    other = replace(run, axes={**run.axes, "layers": 9})
    results = tmp_path / "sampled.jsonl"
    results.write_text(json.dumps({**found(run.name), "key": clean_runs.key(other)}) + "\n")
    given = Namespace(real=False, shared=tmp_path, out=tmp_path, jobs=1)
    with pytest.raises(InputError, match="no such directory"):
        clean_runs.go([run], given, results)


def test_the_page_of_clean_runs_counts_every_outcome():
    text = clean_runs.page([found(), found(_3="inconclusive")], [])
    assert "| 3 | 1 | 0 | 1 |" in text
    assert "Real sizes" not in text


# the tools in use


def same(limit):
    return lambda threshold: threshold >= limit


@pytest.mark.parametrize("limit", [0.0, 1e-16, 3e-7, 5e3])
def test_the_tightest_threshold_is_the_first_at_which_a_tool_agrees(limit):
    place = peer_tools.tightest(same(limit))
    assert peer_tools.GRID[place] >= limit
    assert place == 0 or peer_tools.GRID[place - 1] < limit


def test_a_tool_that_never_agrees_has_no_threshold():
    assert peer_tools.tightest(lambda _: False) == len(peer_tools.GRID)


def test_a_tool_that_stops_with_an_error_has_noticed():
    def stops(_candidate, _reference):
        raise ValueError("operands could not be broadcast")

    tool = peer_tools.Tool({"knob": stops}, {"default": ("knob", 1.0)})
    told = peer_tools.answer(tool, {}, {})
    assert told == {"usual": {"default": False}, "tightest": {"knob": len(peer_tools.GRID)}}


def test_a_tool_that_is_not_installed_says_so(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert peer_tools.answers("padiff", []) == {"missing": "padiff is not installed"}


@pytest.mark.parametrize(
    ("gap", "agrees"),
    [(0.0, {"default": True}), (1e-3, {"default": False})],
    ids=["equal", "apart"],
)
def test_assert_close_is_asked_with_its_defaults(gap, agrees):
    pytest.importorskip("torch")
    reference = {"x": np.linspace(1.0, 2.0, 5, dtype=np.float32)}
    candidate = {"x": reference["x"] + np.float32(gap)}
    told = peer_tools.answer(peer_tools.assert_close(), candidate, reference)
    assert told["usual"] == agrees


def test_the_cosine_does_not_see_a_ratio():
    pytest.importorskip("torch")
    reference = {"x": np.linspace(1.0, 2.0, 5)}
    told = peer_tools.answer(peer_tools.cosine(), {"x": 3.0 * reference["x"]}, reference)
    assert told["usual"] == {"0.99": True, "0.9999": True}


def test_dumps_of_a_clean_port_hold_the_same_names_on_both_sides(recorded, tmp_path):
    dumped = peers.dump(recorded.reference, recorded.candidate, tmp_path)
    assert set(dumped) == set(peers.KINDS)
    for kind, files in dumped.items():
        ours, theirs = (peer_tools.read(str(tmp_path / name)) for name in files)
        assert {n: a.shape for n, a in ours.items()} == {n: a.shape for n, a in theirs.items()}, (
            kind
        )


def test_equal_dumps_are_stored_once(recorded, tmp_path):
    dumped = peers.dump(recorded.reference, recorded.candidate, tmp_path)
    assert len(set(dumped["evaluation data"])) == 1
    assert len(set(dumped["outputs"])) == 2


def asked(places):
    return {"usual": {"default": places <= 3}, "tightest": {"knob": places}}


def test_at_best_a_tool_accuses_what_lies_beyond_every_clean_port():
    cases = {name: {"losses": ("r", name)} for name in ("clean-1", "clean-2", "small", "large")}
    told = {("r", "clean-1"): 2, ("r", "clean-2"): 5, ("r", "small"): 5, ("r", "large"): 6}
    answers = {files: asked(place) for files, place in told.items()}
    default, best = peers._columns("tool", "1.0", cases, answers)
    assert best.settings == peers.BEST
    assert [name for name, kinds in best.accused.items() if kinds] == ["large"]
    assert [name for name, kinds in default.accused.items() if kinds] == [
        "clean-2",
        "small",
        "large",
    ]


def test_as_usually_set_a_tool_sees_only_what_its_guides_dump():
    cases = {"fault": {"losses": ("r", "a"), "trained weights": ("r", "b")}}
    answers = {("r", "a"): asked(0), ("r", "b"): asked(9)}
    for tool, kinds in (("reprod_log", ()), ("padiff", ("trained weights",))):
        usual, _ = peers._columns(tool, "1.0", cases, answers)
        assert usual.accused == {"fault": kinds}


# planted faults


def row(name="fault", **how):
    known = {"step": 1, "cause": "c", "caught": True, "own_step": True, "place": True}
    return faults_page.Row(name, **{**known, "named": True, "red": (1,), **how})


ABSENT = peers.Column("padiff", "", {}, absent="not installed")
TOOL = peers.Column("reprod_log", "default", {"fault": ("losses",), "clean-1": ()}, "1.0.1")
PAGE = faults_page.Page(
    (row(), row("missed", caught=False, own_step=False, place=False, named=False, red=())),
    (row("clean-1", equivalent="the port as it is", caught=False, red=()),),
    (),
    (TOOL, ABSENT),
)
GIVEN = Namespace(case="jointbert", clean=1, pairs=0, seed=0)


def test_totals_are_shares_of_the_faults():
    [ours] = [line for line in faults_page.totals(PAGE) if line[0] == "modelparity"]
    assert ours[1:] == ("50 % (1/2)",) * 4 + ("0 % (0/1)",)


def test_a_tool_that_is_absent_has_words_in_place_of_figures():
    [theirs] = [line for line in faults_page.totals(PAGE) if line[0] == "padiff"]
    assert theirs[1:] == ("not installed", "", "", "", "")
    assert "| not installed |" in faults_page.page(PAGE, GIVEN).partition("## Each fault")[2]


def test_a_tools_right_step_is_that_of_the_first_dump_it_accuses():
    """It accuses by the losses of step 7 what is a fault of step 1."""
    [theirs] = [line for line in faults_page.totals(PAGE) if line[0] == "reprod_log default"]
    assert theirs[1:3] == ("50 % (1/2)", "0 % (0/2)")


@pytest.mark.parametrize(
    "wrong",
    [
        row(own_step=False),
        row(place=False),
        row(caught=False),
        row(equivalent="nothing changes"),
    ],
    ids=["step", "place", "missed", "equivalent"],
)
def test_the_bench_fails_where_a_fault_is_not_right(wrong):
    assert not faults_page.Page((wrong,), (), (), ()).holds(0.0)


def test_the_bench_fails_where_causes_are_not_named():
    page = faults_page.Page((row(), row(named=False)), (), (), ())
    assert page.holds(0.5)
    assert not page.holds(0.9)


def test_the_bench_fails_where_a_clean_port_is_accused():
    accused = row("clean-1", equivalent="the port as it is")
    assert not faults_page.Page((row(),), (accused,), (), ()).holds(0.9)


def test_every_fault_of_jointbert_has_words_that_name_its_cause():
    known = pytest.importorskip("jointbert.faults").FAULTS
    assert [f.name for f in known if not f.equivalent and f.name not in causes.CAUSES] == []


def verdict(*hints):
    findings = [
        Finding(f"x{n}", "exact", Outcome.DIVERGED, "differs", (hint,))
        for n, hint in enumerate(hints)
    ]
    return Verdict(1, "forward", Outcome.DIVERGED, "x0: differs", tuple(findings))


@pytest.mark.parametrize(
    ("hints", "named"),
    [
        (("with eps 1e-08 in place of eps 1e-12",), True),
        (("it is transposed", "eps 1e-08"), True),
        (("it is transposed", "the sign is reversed", "eps 1e-08"), False),
        ((), False),
    ],
)
def test_a_cause_counts_as_named_by_the_first_two_hints(hints, named):
    [fault] = [f for f in pytest.importorskip("jointbert.faults").FAULTS if "norm-eps" in f.name]
    assert causes.cause_named(fault, verdict(*hints)) is named


def planted(name):
    return next(fault for fault in TOY if fault.name == name)


def test_a_fault_of_the_toy_is_judged_right(recorded, tmp_path):
    fault, steps = planted("adam-eps"), (1, 4)
    candidate = record_side(
        "candidate", tmp_path / "c", given=recorded.reference, steps=steps, fault=fault
    )
    judged = faults.judged(fault, check(recorded.reference, candidate, steps=steps))
    assert (judged.red, judged.own_step, judged.place, judged.right) == ((4,), True, True, True)


def test_a_bench_of_faults_goes_on_where_it_was_stopped(tmp_path):
    made = []

    def work(name):
        made.append(name)
        return faults_page.Row(name, 1, "", red=(1,), hints=("a hint",))

    names = {"one": "one", "two": "two"}
    first = faults.Bench("toy", tmp_path, 1).each(work, {"one": "one"})
    with (tmp_path / "rows.jsonl").open("a") as lines:
        lines.write('{"key": "cut off')
    for _ in range(2):  # what is written behind a line that was cut off is found again
        rows = faults.Bench("toy", tmp_path, 1).each(work, names)
        assert made == ["one", "two"]
    assert faults_page.line(rows[0]) == faults_page.line(first[0])


def test_two_faults_at_once_are_both_reported(recorded, tmp_path):
    pair, steps = (planted("norm-eps"), planted("last-batch-missing")), (1, 2)
    both = fault_pairs.joined(*pair)
    candidate = record_side(
        "candidate", tmp_path / "c", given=recorded.reference, steps=steps, fault=both
    )
    report = check(recorded.reference, candidate, steps=steps)
    assert [faults.reported(fault, report) for fault in pair] == [True, True]
    assert not faults.reported(planted("short-epoch"), report)


def test_faults_that_replace_the_same_function_do_not_fit():
    assert not fault_pairs.fit(planted("last-batch-missing"), planted("truncated-early"))
    assert fault_pairs.fit(planted("last-batch-missing"), planted("adam-eps"))


def test_the_same_pairs_are_drawn_for_a_seed():
    pairs = fault_pairs.drawn(TOY, 5, 0)
    assert pairs == fault_pairs.drawn(TOY, 5, 0)
    assert len(pairs) == 5
    assert not any(fault.equivalent for pair in pairs for fault in pair)


def test_a_joined_fault_plants_both_and_the_second_upon_the_first():
    def adding(number):
        return lambda functions: {"update": lambda: [*functions["update"](), number]}

    first, second = (Fault(f"f{n}", n, f"site{n}", "cause", adding(n)) for n in (1, 2))
    both = fault_pairs.joined(second, first)
    replaced = both.override(MappingProxyType({"update": list}))
    assert replaced["update"]() == [2, 1]
    assert (both.name, both.step, both.site) == ("f2+f1", 1, "site1")
