"""The command line: parse, call, exit code.

Exit codes: 0 aligned, 1 diverged, 2 usage or unreadable input, 3 inconclusive.
"""

import argparse
import io
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from modelparity.cases import load_case, load_fault, load_faults
from modelparity.check import ALL_STEPS, check
from modelparity.compare import command as diff
from modelparity.compat.command import familiar_log
from modelparity.errors import ParityError, UsageError
from modelparity.model import Outcome, Report
from modelparity.record import replaceable
from modelparity.recording import read
from modelparity.report import write_all
from modelparity.report.terminal import Progress, abandon, ladder
from modelparity.report.text import clean
from modelparity.run import SideOrder, look, record_both, record_side
from modelparity.seeds import train, wanted
from modelparity.steps import OVER_SEEDS, STEPS

EXIT = {Outcome.ALIGNED: 0, Outcome.DIVERGED: 1, Outcome.INCONCLUSIVE: 3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # where a terminal lacks a character, its number
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = _parser().parse_args(arguments)
        code: int = options.command(options)
    except ParityError as error:
        _complain(str(error))
        return 2
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        _complain(f"{what}{error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        _complain("interrupted; nothing half-written is left")
        return 130
    return code


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line, as every other command does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _say(text: str) -> None:
    """Print. A reader that closed the pipe has seen enough; the exit code still says the rest."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        abandon(sys.stdout)


def _complain(text: str) -> None:
    try:
        print(f"modelparity: {clean(text)}", file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="modelparity", description="Prove that a port computes what its original computes."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="record both sides of a case, then judge them")
    run.set_defaults(command=_run)
    run.add_argument("case", metavar="CASE", help="a name (jointbert) or module:attribute")
    run.add_argument("--out", type=Path, metavar="DIR", help="default: out/CASE")
    run.add_argument("--reference", default="", metavar="MODULE", help="another reference side")
    run.add_argument("--candidate", default="", metavar="MODULE", help="another candidate side")
    run.add_argument("--reference-python", default="", metavar="PATH")
    run.add_argument("--candidate-python", default="", metavar="PATH")
    run.add_argument("--fault", default="", metavar="NAME", help="plant a known bug")
    _common(run, settings=True)

    record = commands.add_parser("record", help="record one side")
    record.set_defaults(command=_record)
    record.add_argument("case", metavar="CASE")
    record.add_argument("--side", choices=("reference", "candidate"), required=True)
    record.add_argument("--module", default="", metavar="MODULE", help="another side's module")
    record.add_argument("--python", default="", metavar="PATH", help="the side's interpreter")
    record.add_argument("--given", type=Path, metavar="DIR", help="the reference's recordings")
    record.add_argument("--out", type=Path, required=True, metavar="DIR")
    record.add_argument("--fault", default="", metavar="NAME")
    _common(record, settings=True)

    judge = commands.add_parser("check", help="judge two sets of recordings")
    judge.set_defaults(command=_check)
    judge.add_argument("reference", type=Path, metavar="REFERENCE_DIR")
    judge.add_argument("candidate", type=Path, metavar="CANDIDATE_DIR")
    judge.add_argument("--out", type=Path, metavar="DIR", help="write the reports here")
    _common(judge, settings=False)

    compare = commands.add_parser("diff", help="compare two files or directories of tensors")
    compare.set_defaults(command=_diff)
    diff.add_options(compare)

    faults = commands.add_parser("faults", help="list the planted faults of a case")
    faults.set_defaults(command=_faults)
    faults.add_argument("case", metavar="CASE")
    faults.add_argument("--json", action="store_true")
    return parser


def _common(parser: argparse.ArgumentParser, *, settings: bool) -> None:
    parser.add_argument("--steps", default="", metavar="1,7", help="default: all ten")
    parser.add_argument("--quiet", action="store_true", help="print the ladder only")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="of alignment.md")
    if settings:
        parser.add_argument(
            "--set", action="append", default=[], dest="changes", metavar="KEY=VALUE"
        )


def _run(options: argparse.Namespace) -> int:
    case, steps = load_case(options.case), _steps(options.steps)
    if options.fault:
        load_fault(case, options.fault)
    _check_changes(options.changes)
    out: Path = options.out or Path("out") / case.name
    progress = Progress(quiet=options.quiet)
    reference = SideOrder(
        case=options.case,
        role="reference",
        out=out / "reference",
        steps=steps,
        module=options.reference,
        python=options.reference_python,
        changes=tuple(options.changes),
    )
    candidate = SideOrder(
        case=options.case,
        role="candidate",
        out=out / "candidate",
        steps=steps,
        given=out / "reference",
        module=options.candidate,
        python=options.candidate_python,
        fault=options.fault,
        changes=tuple(options.changes),
    )
    for order in (reference, candidate):
        replaceable(order.out, order.given)
    seeds = wanted(case, reference.changes) if set(steps) & set(OVER_SEEDS) else 0
    look(candidate)  # a reference takes long to record: too long to find out then
    try:
        record_both(reference, candidate, progress.update)
        if seeds:
            train([reference, candidate], seeds, progress.update)
        progress.update("judging", 0, 1)
        report = check(reference.out, candidate.out, steps=steps, fault=options.fault)
    finally:
        progress.close()
    return _finish(report, out, options.language)


def _record(options: argparse.Namespace) -> int:
    if (options.side == "candidate") != (options.given is not None):
        raise UsageError("record: --given REFERENCE_DIR goes with --side candidate, and only there")
    _check_changes(options.changes)
    case = load_case(options.case)
    if options.fault:
        load_fault(case, options.fault)
    progress = Progress(quiet=options.quiet)
    order = SideOrder(
        case=options.case,
        role=options.side,
        out=options.out,
        steps=_steps(options.steps),
        given=options.given,
        module=options.module,
        python=options.python,
        fault=options.fault,
        changes=tuple(options.changes),
    )
    seeds = wanted(case, order.changes) if set(order.steps) & set(OVER_SEEDS) else 0
    replaceable(order.out, order.given)
    try:
        record_side(order, progress.update)
        if seeds:
            train([order], seeds, progress.update)
    finally:
        progress.close()
    _say(f"recorded the {options.side} side in {options.out}")
    for step in order.steps:
        problem = read(order.out / STEPS[step - 1].NAME).manifest.get("problem")
        if problem:
            _say(f"step {step} is incomplete: {problem}")
    return 0


def _check(options: argparse.Namespace) -> int:
    report = check(options.reference, options.candidate, steps=_steps(options.steps))
    return _finish(report, options.out, options.language)


def _diff(options: argparse.Namespace) -> int:
    if options.format == diff.REPROD_LOG:
        return EXIT[familiar_log(options)]
    progress = Progress(quiet=options.quiet)
    try:
        text, outcome = diff.run(options, progress.update, colour=sys.stdout.isatty())
    finally:
        progress.close()
    _say(text)
    return EXIT[outcome]


def _finish(report: Report, out: Path | None, language: str) -> int:
    if out is not None:
        write_all(report, out, language=language)
    _say(ladder(report, colour=sys.stdout.isatty()))
    if out is not None:
        _say(f"reports: {out / 'report.html'}, and .json, .md, junit.xml, alignment.md")
    return EXIT[report.outcome]


def _faults(options: argparse.Namespace) -> int:
    faults = load_faults(load_case(options.case))
    fields = ("name", "step", "site", "cause", "equivalent")
    rows = [{field: getattr(fault, field) for field in fields} for fault in faults]
    if options.json:
        _say(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        place = f"step {row['step']:>2}" if not row["equivalent"] else "no step"
        _say(f"{place}  {row['name']}\n         {row['site']}: {row['cause']}")
    return 0


def _steps(text: str) -> tuple[int, ...]:
    if not text:
        return ALL_STEPS
    try:
        steps = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise UsageError(f"--steps {text}: expected numbers from 1 to 10, as in 1,7") from None
    if not set(steps) <= set(ALL_STEPS):
        raise UsageError(f"--steps {text}: the steps are 1 to 10")
    return steps


def _check_changes(changes: Sequence[str]) -> None:
    for change in changes:
        if "=" not in change:
            raise UsageError(f"--set {change}: expected KEY=VALUE")


if __name__ == "__main__":
    sys.exit(main())
