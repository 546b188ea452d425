"""Plant every fault of a case, one at a time, and see which step of the ladder is the first red.

    python benchmarks/faults.py [CASE] [--only NAME,NAME] [--jobs 2] [--out DIR]

The reference is recorded once. A fault is right where its own step is red and no earlier one is; a
fault that no numbers can show (`equivalent`) is right where no step is red. Exit code 0 if all are
right, else 1. Recordings that are already there are judged again, not made again.
"""

import argparse
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelparity import Fault, Outcome, Report, check
from modelparity.cases import load_case, load_faults
from modelparity.check import ALL_STEPS
from modelparity.run import SideOrder, record_side


@dataclass(frozen=True)
class Tried:
    """A fault and the ladder's report on it."""

    fault: Fault
    report: Report

    @property
    def red(self) -> list[int]:
        """The steps that diverged, in order."""
        return [v.number for v in self.report.verdicts if v.outcome is Outcome.DIVERGED]

    @property
    def right(self) -> bool:
        """Whether the first red step is the fault's own."""
        return not self.red if self.fault.equivalent else self.red[:1] == [self.fault.step]

    def line(self) -> str:
        """One line of the table."""
        own = "none" if self.fault.equivalent else str(self.fault.step)
        red = ",".join(map(str, self.red)) or "none"
        return f"{'ok' if self.right else 'WRONG':5}  {self.fault.name:32}  {own:>4}  {red}"


def main() -> int:
    """Run the faults and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("case", nargs="?", default="jointbert")
    parser.add_argument("--only", default="", metavar="NAMES")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    faults = [f for f in load_faults(load_case(options.case)) if not wanted or f.name in wanted]
    if wanted - {fault.name for fault in faults}:
        parser.error(f"no such fault: {', '.join(wanted - {fault.name for fault in faults})}")
    reference = options.out / "reference"
    if not reference.exists():
        record_side(SideOrder(options.case, "reference", reference, ALL_STEPS), _quiet)
    print(f"{'':5}  {'fault':32}  step  first red, and the other red steps", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        tried = []
        for one in pool.map(partial(_try, options.case, options.out), faults):
            print(one.line(), flush=True)
            tried.append(one)
    right = sum(one.right for one in tried)
    print(f"{right} of {len(tried)} right: own step red, none before it")
    return 0 if right == len(tried) else 1


def _try(case: str, out: Path, fault: Fault) -> Tried:
    """Record the candidate with this fault and judge it; the recordings of a wrong one stay."""
    reference, candidate = out / "reference", out / fault.name
    if not candidate.exists():
        order = SideOrder(
            case, "candidate", candidate, ALL_STEPS, given=reference, fault=fault.name
        )
        record_side(order, _quiet)
    tried = Tried(fault, check(reference, candidate, fault=fault.name))
    if tried.right:
        shutil.rmtree(candidate)
    return tried


def _quiet(_text: str, _done: int, _total: int) -> None:
    """No progress display: one line a fault is progress."""


if __name__ == "__main__":
    sys.exit(main())
