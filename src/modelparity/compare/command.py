"""The command `modelparity diff`: its options, and what it prints."""

import argparse
from pathlib import Path
from typing import Any

from modelparity.compare.compare import Options, Tell, compare
from modelparity.compare.report import FORMATS, write_all
from modelparity.compare.report.table import as_table
from modelparity.errors import InputError, UsageError
from modelparity.model import Outcome

REPROD_LOG = "reprod_log"
PRINTED = ("table", "json", "junit", "markdown", REPROD_LOG)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    many: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument(
        "reference", type=Path, metavar="A", help="the reference: file or directory"
    )
    parser.add_argument("candidate", type=Path, metavar="B", help="what is compared with it")
    parser.add_argument(
        "--truth", type=Path, metavar="C", help="judge both by their distance to this, more precise"
    )
    parser.add_argument(
        "--rename",
        **many,
        metavar="'A -> B'",
        help="names that face each other; {x}, {x*} stand for one or more dotted parts",
    )
    parser.add_argument(
        "--transpose", **many, metavar="NAME", help="A's tensors whose two last axes are swapped"
    )
    parser.add_argument(
        "--tolerance", **many, metavar="'[NAME:] rms=X, peak=Y'", help="or rtol=X, atol=Y, or exact"
    )
    parser.add_argument("--full", action="store_true", help="ulps, sign flips, cosine and more")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--dask", default="", metavar="ADDRESS", help="a Dask scheduler")
    parser.add_argument("--kernel", choices=("numpy", "compiled"), default="", help="what measures")
    parser.add_argument("--format", choices=PRINTED, default="table", help="what is printed")
    parser.add_argument("--json", action="store_true", help="--format json")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write diff.json, diff.md, junit.xml"
    )
    parser.add_argument("--metric", help="with --format reprod_log: mean (default), max, min, all")
    parser.add_argument("--threshold", type=float, metavar="X", help="likewise; default: 1e-6")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(options: argparse.Namespace, tell: Tell, *, colour: bool) -> tuple[str, Outcome]:
    """What is to be printed, and the outcome; for all formats but reprod_log's."""
    if options.metric is not None or options.threshold is not None:
        raise UsageError("--metric and --threshold: only with --format reprod_log; see --tolerance")
    if options.workers < 1:
        raise UsageError(f"--workers {options.workers}: expected 1 or more")
    if options.workers > 1 and options.dask:
        raise UsageError("--workers and --dask exclude each other: the cluster has its own workers")
    if options.json and options.format not in ("table", "json"):
        raise UsageError(f"--json and --format {options.format} exclude each other")
    for path in (options.reference, options.candidate, options.truth):
        if path is not None and not path.exists():
            raise InputError(f"{path}: there is no such file or directory")
    comparison = compare(
        reference=options.reference,
        candidate=options.candidate,
        truth=options.truth,
        options=Options(
            rename=options.rename,
            transpose=options.transpose,
            tolerance=options.tolerance,
            full=options.full,
            workers=options.workers,
            dask=options.dask,
            kernel=options.kernel,
        ),
        tell=tell,
    )
    if options.out is not None:
        write_all(comparison, options.out)
    printed = "json" if options.json else options.format
    if printed == "table":
        return as_table(comparison, colour), comparison.outcome
    return FORMATS[printed](comparison).rstrip("\n"), comparison.outcome
