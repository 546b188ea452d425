"""Plant every fault of a case, one at a time, and see what the ladder says; and what others say.

    python benchmarks/faults.py [CASE] [--only NAME,NAME] [--jobs 2] [--out DIR]
                                [--clean 4] [--pairs N] [--peer-python PATH] [--markdown FILE]

The reference is recorded once. Of each fault the table says whether it was caught, whether the
first red step is its own, whether that step's reason names its place, and whether one of the first
two hints names its cause. A fault that no numbers can show (`equivalent`) is right where no step is
red. `--clean` ports without a fault must not be accused; each has a seed of its own. The tools in
use judge what was recorded (peers.py). `--pairs` plants as many pairs of faults: both places must
be reported. Exit code 0 if all of that holds and nine of ten causes are named, else 1. A bench that
was stopped goes on where it was, as long as the code is the same; recordings that are already there
are judged again, not made again.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import fault_pairs
import peers
from causes import cause_named, hints
from clean_runs import finished, source
from faults_page import HEAD, LEGEND, Page, Row, line, page, sums
from rows import append_row

from modelparity import Fault, Outcome, Report, check
from modelparity.cases import load_case, load_faults
from modelparity.check import ALL_STEPS
from modelparity.recording import digest, file_digest
from modelparity.run import SideOrder, record_side

NAMED = 0.9  # of the causes; everything else must be right always
T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """Where and of what: the case, the directory of the recordings, how many at once."""

    case: str
    out: Path
    jobs: int
    cases: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    @property
    def reference(self) -> Path:
        return self.out / "reference"

    @property
    def dumps(self) -> Path:
        return self.out / "dumps"

    def side(self, role: str, out: Path, given: Path | None = None, **more: object) -> Path:
        """Record a side, unless it is there."""
        order = SideOrder(self.case, role, out, ALL_STEPS, given=given)
        if not out.exists():
            record_side(replace(order, **more), _quiet)
        return out

    def each(self, work: Callable[[T], Row], items: Mapping[str, T]) -> list[Row]:
        """Do what has no row yet, side by side, and print each row as it comes, in order."""
        state = [source(), file_digest(Path(__file__).with_name("causes.py"))]
        keys = {name: digest([state, name]) for name in items}
        results, rows = self.out / "rows.jsonl", list[Row]()
        done = finished(results)

        def made(name: str) -> Row:
            if found := done.get(keys[name]):
                if found["dumped"]:
                    self.cases[name] = found["dumped"]
                return Row(**found["row"])
            return work(items[name])

        with ThreadPoolExecutor(self.jobs) as pool:
            for name, row in zip(items, pool.map(made, items), strict=True):
                print(line(row), flush=True)
                rows.append(row)
                if keys[name] not in done:
                    told = {"row": vars(row), "dumped": self.cases.get(name)}
                    append_row(results, {"key": keys[name], **told})
        return rows


def red(report: Report) -> list[int]:
    """The steps that diverged, in order."""
    return [v.number for v in report.verdicts if v.outcome is Outcome.DIVERGED]


def judged(fault: Fault, report: Report) -> Row:
    """What the ladder says of a planted fault."""
    steps = red(report)
    verdict = next((v for v in report.verdicts if v.outcome is Outcome.DIVERGED), None)
    own = verdict is not None and verdict.number == fault.step
    reason = verdict.reason if verdict else ""
    return Row(
        name=fault.name,
        step=fault.step,
        cause=fault.cause,
        equivalent=fault.equivalent,
        red=tuple(steps),
        caught=bool(steps),
        own_step=own,
        place=own and fault.site in reason if fault.site else None,
        named=verdict is not None and cause_named(fault, verdict),
        hints=tuple(hints(verdict)[:2]) if verdict else (),
    )


def planted(bench: Bench, fault: Fault) -> Row:
    """Record the candidate with this fault and judge it; the recordings of a wrong one stay."""
    candidate = bench.side("candidate", bench.out / fault.name, bench.reference, fault=fault.name)
    row = judged(fault, check(bench.reference, candidate, fault=fault.name))
    bench.cases[fault.name] = peers.dump(bench.reference, candidate, bench.dumps)
    if row.right:
        shutil.rmtree(candidate)
    return row


def clean_seeds(case: str, count: int) -> dict[str, int]:
    """Seeds for the port as it is, by the names of the rows; the first is the case's own."""
    own = int(load_case(case).settings.get("seed", 0))
    return {f"{peers.CLEAN}-{seed}": seed for seed in range(own, own + count)}


def clean(bench: Bench, seed: int) -> Row:
    """The port as it is, under a seed of its own, against a reference under the same."""
    name = f"{peers.CLEAN}-{seed}"
    place = bench.out / name
    own = seed in clean_seeds(bench.case, 1).values()
    changes = {} if own else {"changes": (f"seed={seed}",)}
    reference = bench.reference
    if not own:
        reference = bench.side("reference", place / "reference", **changes)
    candidate = bench.side("candidate", place / "candidate", reference, **changes)
    steps = red(check(reference, candidate))
    bench.cases[name] = peers.dump(reference, candidate, bench.dumps)
    if not steps:
        shutil.rmtree(place)
    return Row(name, 0, "", equivalent="the port as it is", red=tuple(steps), caught=bool(steps))


def paired(bench: Bench, pair: tuple[Fault, Fault]) -> Row:
    """Two faults at once: each place must stand in the verdict of its step."""
    both = fault_pairs.joined(*pair)
    candidate = bench.out / both.name
    order = {"case": fault_pairs.NAME, "fault": both.name}
    report = check(
        bench.reference,
        bench.side("candidate", candidate, bench.reference, **order),
        fault=both.name,
    )
    places = [reported(fault, report) for fault in pair]
    steps = red(report)
    first = steps[:1] == [both.step]
    row = Row(
        both.name,
        both.step,
        both.cause,
        "",
        tuple(steps),
        bool(steps),
        first,
        all(places),
        named=None,
    )
    if row.right:
        shutil.rmtree(candidate)
    return row


def reported(fault: Fault, report: Report) -> bool:
    """Whether a fault's place stands in what diverged at its own step."""
    for verdict in report.verdicts:
        if verdict.number == fault.step:
            found = [f for f in verdict.findings if f.outcome is Outcome.DIVERGED]
            text = [verdict.reason, *(f"{f.name}: {f.message}" for f in found)]
            return any(fault.site in said for said in text)
    return False


def main() -> int:
    """Run the faults and print the table."""
    given = arguments()
    bench = Bench(given.case, given.out, given.jobs)
    wanted = set(filter(None, given.only.split(",")))
    known = load_faults(load_case(given.case))
    if wanted - {fault.name for fault in known}:
        names = ", ".join(sorted(wanted - {fault.name for fault in known}))
        print(f"faults: --only {names}: no such fault of {given.case}", file=sys.stderr)
        return 2
    faults = [fault for fault in known if not wanted or fault.name in wanted]
    bench.side("reference", bench.reference)
    print(HEAD, flush=True)
    rows = bench.each(partial(planted, bench), {fault.name: fault for fault in faults})
    quiet = bench.each(partial(clean, bench), clean_seeds(bench.case, given.clean))
    # A recorder's process must find the case of pairs.
    os.environ[fault_pairs.OF] = given.case
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    drawn = fault_pairs.drawn(faults, given.pairs, given.seed)
    both = {fault_pairs.joined(*pair).name: pair for pair in drawn}
    pairs = bench.each(partial(paired, bench), both)
    (bench.dumps / peers.CASES).write_text(json.dumps(bench.cases), encoding="utf-8")
    columns = tuple(peers.ask(bench.cases, bench.dumps, given.peer_python))
    found = Page(tuple(rows), tuple(quiet), tuple(pairs), columns)
    print(f"\n{LEGEND}\n\n{sums(found)}")
    if given.markdown:
        given.markdown.write_text(page(found, given), encoding="utf-8")
    return 0 if found.holds(NAMED) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("case", nargs="?", default="jointbert")
    parser.add_argument("--only", default="", metavar="NAMES")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    parser.add_argument("--clean", type=int, default=4, help="ports without a fault")
    parser.add_argument("--pairs", type=int, default=0, help="pairs of faults planted together")
    parser.add_argument("--seed", type=int, default=0, help="which pairs are drawn")
    parser.add_argument("--peer-python", default=sys.executable, help="that has the tools in use")
    parser.add_argument("--markdown", type=Path, help="write the page")
    return parser.parse_args()


def _quiet(_text: str, _done: int, _total: int) -> None:
    """No progress display: one line a fault is progress."""


if __name__ == "__main__":
    sys.exit(main())
