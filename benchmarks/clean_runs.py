"""Record and judge the port as it is, many times over: no clean run may be accused.

    python benchmarks/clean_runs.py [--runs 200] [--jobs 2] [--out DIR] [--markdown FILE]
    python benchmarks/clean_runs.py --real [--out DIR] [--markdown FILE]

The first form samples small models (clean_grid.py) and judges steps 1 and 3 to 7, one run after
another in the same processes, for starting one takes longer than most runs; the second is a dozen
whole ladders at real sizes. Tasks and checkpoint are found below --shared. Every finished run
is a line of a file in --out: the command goes on where it was stopped. Recordings of a run that is
accused, or that failed, stay. Exit code 1 if any run is accused or failed, 3 if anything but the
scores of step 3 was left inconclusive, else 0.
"""

import argparse
import multiprocessing
import os
import platform
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from clean_grid import AXES, PATHS, TASKS, Run, inputs, real, sample
from rows import append_row, read_rows

from modelparity import InputError, Outcome, ParityError, check
from modelparity.cases import load_case
from modelparity.check import ALL_STEPS
from modelparity.crew import KEPT_MEMORY, QUIET_THREADS
from modelparity.record import record
from modelparity.recording import digest, tree_digest
from modelparity.run import SideOrder, record_both, record_side

CASE = "jointbert"
STEPS = (1, 3, 4, 5, 6, 7)
ROOT = Path(__file__).resolve().parents[1]
# Chooses the path of the matrix library beneath Paddle on AMD processors; others take no notice.
PATH_VARIABLE = "MKL_DEBUG_CPU_TYPE"
SPAWN = multiprocessing.get_context("spawn")

Found = dict[str, Any]  # what is known of a finished run: one line of the results
Sides = Mapping[str, Executor]  # what records small models: "" the reference, a path the candidate


def tried(
    run: Run, files: Mapping[str, str], steps: tuple[int, ...], out: Path, sides: Sides
) -> Found:
    """Record both sides of a run, judge it, and remove its recordings if nothing is wrong."""
    place, began = out / "recordings" / run.name, time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    found: Found = {"name": run.name, "key": key(run), **vars(run), "source": source()}
    try:
        report = check(*_recorded(run, files, steps, place, sides), steps=steps)
    except (ParityError, BrokenProcessPool) as error:
        return {**found, "failed": str(error), "seconds": time.monotonic() - began}
    found["outcomes"] = {str(v.number): v.outcome.value for v in report.verdicts}
    aside = [v for v in report.verdicts if v.outcome is not Outcome.ALIGNED]
    found["reasons"] = {str(v.number): v.reason for v in aside}
    found["environments"] = {s: m.get("environment") for s, m in report.manifests.items()}
    if not accused(found):
        shutil.rmtree(place)
    return {**found, "seconds": time.monotonic() - began}


def _recorded(
    run: Run, files: Mapping[str, str], steps: tuple[int, ...], place: Path, sides: Sides
) -> tuple[Path, Path]:
    settings = {**run.changes, **files}
    changes = tuple(f"{name}={_written(value)}" for name, value in settings.items())
    one, two = place / "reference", place / "candidate"
    reference = SideOrder(CASE, "reference", one, steps, changes=changes)
    candidate = SideOrder(CASE, "candidate", two, steps, given=one, changes=changes)
    if steps == ALL_STEPS:
        _choose(str(run.axes["path"]))
        if run.checkpoint == "bert-base":  # both sides at once would take more than 24 GiB
            record_side(reference, _quiet)
            record_side(candidate, _quiet)
        else:
            record_both(reference, candidate, _quiet)
    else:
        sides[""].submit(_record, reference).result()
        sides[str(run.axes["path"])].submit(_record, candidate).result()
    return one, two


def _choose(path: str) -> None:
    """Before Paddle is imported: nothing but an empty text keeps the port from the fast path."""
    os.environ.pop(PATH_VARIABLE, None)
    if path == "slow":
        os.environ[PATH_VARIABLE] = ""


def _record(order: SideOrder) -> None:
    case = load_case(order.case)
    changes = dict(change.partition("=")[::2] for change in order.changes)
    module = getattr(case, order.role)
    record(
        case, order.role, module, order.out, given=order.given, steps=order.steps, changes=changes
    )


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quiet(_text: str, _done: int, _total: int) -> None:
    """No progress display: one line a run is progress."""


def key(run: Run) -> str:
    """Tells runs of other settings apart, whatever their names."""
    return digest(vars(run))


def source() -> str:
    """A digest of the code on trial."""
    return digest([tree_digest(path) for path in sorted((ROOT / "src").rglob("*.py"))])


def accused(found: Found) -> list[int]:
    """The steps that accuse a run."""
    outcomes = found.get("outcomes", {})
    return [int(step) for step, outcome in outcomes.items() if outcome == Outcome.DIVERGED.value]


def undecided(found: Found) -> list[int]:
    """The inconclusive steps, but for scores of 0 or 1 in step 3 after so short a training."""
    outcomes = found.get("outcomes", {})
    open_ = [s for s, outcome in outcomes.items() if outcome == Outcome.INCONCLUSIVE.value]
    return [int(s) for s in open_ if s != "3" or "proves nothing" not in found["reasons"][s]]


def finished(path: Path) -> dict[str, Found]:
    """The last line of every run, by the key of its settings."""
    return {found["key"]: found for found in read_rows(path)}


def go(runs: Iterable[Run], given: argparse.Namespace, results: Path) -> dict[str, Found]:
    """Try what has no result yet; every result is appended when it is there."""
    runs, done = list(runs), finished(results)
    left = [run for run in runs if key(run) not in done or "failed" in done[key(run)]]
    count, steps = len(runs) - len(left), ALL_STEPS if given.real else STEPS
    files = [inputs(run, given.shared, given.out) for run in left]
    os.environ.update({**QUIET_THREADS, **KEPT_MEMORY, **os.environ})  # for every process of it
    with ExitStack() as stack:
        sides = {
            path: stack.enter_context(
                ProcessPoolExecutor(given.jobs, SPAWN, initializer=_choose, initargs=(path,))
            )
            for path in ("", *PATHS)
        }
        # A whole ladder keeps all cores busy by itself.
        pool = stack.enter_context(ThreadPoolExecutor(1 if given.real else given.jobs))
        asked = [
            pool.submit(tried, run, names, steps, given.out, sides)
            for run, names in zip(left, files, strict=True)
        ]
        for future in as_completed(asked):
            found = future.result()
            done[found["key"]] = found
            append_row(results, found)
            count += 1
            print(f"[{count:3}/{len(runs)}] {line(found)}", flush=True)
    return {key(run): done[key(run)] for run in runs}


def line(found: Found) -> str:
    """A finished run in one line; what is wrong with it in further ones."""
    steps = {name: found.get("reasons", {}).get(str(name)) for name in accused(found)}
    verdict = "FAILED" if "failed" in found else "ACCUSED" if steps else "clean"
    changes = " ".join(f"{name}={value}" for name, value in found["axes"].items())
    wrong = [f"    step {number}: {reason}" for number, reason in steps.items()]
    wrong += [f"    {found['failed']}"] if "failed" in found else []
    wrong += [f"    step {n} inconclusive: {found['reasons'][str(n)]}" for n in undecided(found)]
    head = f"{verdict:7} {found['name']} {found['seconds']:.0f} s  {found['checkpoint']} {changes}"
    return "\n".join([head, *wrong])


def summary(found: Sequence[Found]) -> str:
    """One line: how many were accused, and what that says of the rate."""
    judged = [one for one in found if "failed" not in one]
    guilty = [one for one in judged if accused(one)]
    text = f"{len(guilty)} of {len(judged)} clean runs accused"
    if judged and not guilty:
        # The rate at which none of n comes by with probability 0.05.
        text += (
            f" (95 % upper bound of the rate: {100.0 * (1.0 - 0.05 ** (1 / len(judged))):.2g} %)"
        )
    failed = len(found) - len(judged)
    open_ = sum(bool(undecided(one)) for one in judged)
    text += f"; {failed} failed" if failed else ""
    text += f"; {open_} with undecided steps" if open_ else ""
    return text + f"; {sum(one['seconds'] for one in found) / 60.0:.0f} minutes of runs"


def exit_code(found: Sequence[Found]) -> int:
    if any("failed" in one or accused(one) for one in found):
        return 1
    return 3 if any(map(undecided, found)) else 0


def page(sampled: Sequence[Found], whole: Sequence[Found]) -> str:
    """The published page: from whatever has been run."""
    text = ["# Clean runs", "", "The port as it is, judged many times: how often is it accused?"]
    text += ["Written by `benchmarks/clean_runs.py`; no figure on this page is typed."]
    for title, found in (("Small models", sampled), ("Real sizes", whole)):
        if found:
            text += ["", f"## {title}", "", f"{summary(found)}.", "", *_facts(found), ""]
            text += [*_outcomes(found), "", *_unproved(found), *_axes(found)]
    return "\n".join(text) + "\n"


def _facts(found: Sequence[Found]) -> list[str]:
    sides = [one["environments"] for one in found if "environments" in one]
    versions = dict(pair for side in sides for facts in side.values() for pair in facts.items())
    shown = ("python", "numpy", "torch", "transformers", "paddle")
    listed = ", ".join(f"{name} {versions[name]}" for name in shown if name in versions)
    states = len({one["source"] for one in found})
    code = "one state of the code" if states == 1 else f"{states} states of the code"
    return [f"{date.today().isoformat()}; {platform.machine()}, {listed}; {code}."]


def _outcomes(found: Sequence[Found]) -> list[str]:
    names = [outcome.value for outcome in Outcome]
    counts: dict[str, Counter[str]] = {}
    for one in found:
        for step, outcome in one.get("outcomes", {}).items():
            counts.setdefault(step, Counter())[outcome] += 1
    rows = [[step, *(str(of[name]) for name in names)] for step, of in counts.items()]
    return _table([["step", *names], *sorted(rows, key=lambda row: int(row[0]))])


def _unproved(found: Sequence[Found]) -> list[str]:
    if not any("proves nothing" in one.get("reasons", {}).get("3", "") for one in found):
        return []
    return [
        "Step 3 is inconclusive where a score of the reference, which was trained but shortly, is 0"
        " or 1: that proves nothing. Losses, scores and decisions were compared all the same.",
        "",
    ]


def _axes(found: Sequence[Found]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for one in found:
        for name, value in {"checkpoint": one["checkpoint"] or "none", **one["axes"]}.items():
            counts.setdefault(name, Counter())[_written(value)] += 1
    values = [
        [f"`{name}`", ", ".join(f"{value} ({n})" for value, n in sorted(of.items(), key=_by_size))]
        for name, of in counts.items()
    ]
    return _table([["setting", "values (runs)"], *values])


def _by_size(counted: tuple[str, int]) -> tuple[bool, float, str]:
    try:
        return False, float(counted[0]), ""
    except ValueError:
        return True, 0.0, counted[0]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


def main() -> int:
    given = arguments()
    tasks = tuple(given.tasks.split(","))
    if set(tasks) - set(AXES["task"]):
        print(f"clean_runs: --tasks {given.tasks}: some of {','.join(TASKS)}", file=sys.stderr)
        return 2
    small, whole = given.out / "sampled.jsonl", given.out / "real.jsonl"
    runs = real() if given.real else sample(given.runs, given.seed, tasks)
    try:
        found = list(go(runs, given, whole if given.real else small).values())
    except InputError as error:
        print(f"clean_runs: {error}", file=sys.stderr)
        return 2
    print(summary(found))
    if given.markdown:
        every = (list(finished(results).values()) for results in (small, whole))
        given.markdown.write_text(page(*every), encoding="utf-8")
    return exit_code(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--real", action="store_true", help="whole ladders at real sizes instead")
    parser.add_argument("--tasks", default=",".join(TASKS), help="what is sampled from")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2, help="small models at once")
    parser.add_argument("--out", type=Path, default=Path("out/clean"))
    shared = Path(os.environ.get("MODELPARITY_SHARED") or ROOT.parent / "shared")
    parser.add_argument("--shared", type=Path, default=shared, help="holds data and checkpoints")
    parser.add_argument("--markdown", type=Path, help="write the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
