"""A side's own process: does what the command line orders, and says how it goes.

Started as `python -m modelparity.process`; imports the side, and through it a framework. What it
says goes to standard output as one JSON object a line; what a side prints goes to standard error.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from modelparity.cases import load_case, load_fault, resolve_settings
from modelparity.errors import ParityError
from modelparity.record import record, record_beside
from modelparity.sides import in_short, load_side

# What the reference records for itself gives way to the candidate beside it: of three processes on
# two cores the candidate would be the last, alone for three minutes of twenty.
GIVES_WAY = 5

Progress = Callable[[str, int, int], None]
Obey = Callable[[argparse.Namespace, Progress, Callable[[], None]], None]


def main(
    arguments: list[str] | None = None, channel: TextIO = sys.stdout, obey: Obey | None = None
) -> int:
    """The entry point of a side's process. Exit codes: 0 recorded, 2 cannot be used.

    obey  does what the options say, in place of recording the steps
    """
    parser = argparse.ArgumentParser(prog="modelparity.process")
    parser.add_argument("case")
    parser.add_argument("--side", choices=("reference", "candidate"), required=True)
    parser.add_argument("--module", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--given", type=Path)
    parser.add_argument("--steps", default="1,2,3,4,5,6,7,8,9,10")
    parser.add_argument("--fault", default="")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--partial", type=Path)
    parser.add_argument("--beside", default="", help="only what the reference alone records")
    parser.add_argument("--seeds", default="", help="step 10's independent trainings, as in 1,3")
    parser.add_argument("--look", action="store_true", help="only load what is given")
    options = parser.parse_args(arguments)

    def tell(**message: object) -> None:
        print(json.dumps(message), file=channel, flush=True)

    try:
        (obey or _obey)(
            options,
            lambda text, done, total: tell(text=text, done=done, total=total),
            lambda: tell(ready=True),
        )
    except ParityError as error:
        tell(error=str(error))
        return 2
    except (Exception, SystemExit) as error:
        tell(error=f"the {options.side} side's process failed: {in_short(error)}")
        return 2
    tell(finished=True)
    return 0


def _obey(options: argparse.Namespace, progress: Progress, ready: Callable[[], None]) -> None:
    case = load_case(options.case)
    module = options.module or getattr(case, options.side)
    fault = load_fault(case, options.fault) if options.fault else None
    changes = dict(change.partition("=")[::2] for change in options.changes)
    progress(f"loading {module}", 0, 0)
    if options.look:
        with tempfile.TemporaryDirectory() as directory:
            resolve_settings(case, changes, Path(directory) / "inputs")
        load_side(module, fault)
        return
    if options.beside:
        os.nice(GIVES_WAY)
        record_beside(
            case,
            module,
            options.out,
            names=tuple(options.beside.split(",")),
            changes=changes,
            fault=fault,
            progress=progress,
            partial=options.partial,
        )
        return
    record(
        case,
        options.side,
        module,
        options.out,
        given=options.given,
        steps=tuple(map(int, options.steps.split(","))),
        changes=changes,
        fault=fault,
        progress=progress,
        ready=ready,
        partial=options.partial,
    )


def private_output() -> TextIO:
    """Standard output for this module alone: whatever else is printed becomes standard error.

    Workers that a side forks do not keep it open, or nobody would notice the side's own end.
    """
    channel = os.dup(1)
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: os.close(channel))
    return os.fdopen(channel, "w", encoding="utf-8", closefd=False)


if __name__ == "__main__":
    sys.exit(main(channel=private_output()))
