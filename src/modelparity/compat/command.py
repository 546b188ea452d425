"""`modelparity diff A B --format reprod_log`: the familiar log of two files."""

import argparse
from collections.abc import Mapping

from modelparity.compat.reprod_log import METHODS, THRESHOLD, ReprodDiffHelper
from modelparity.errors import InputError, UsageError
from modelparity.model import Outcome

# Options of `diff` that this log knows nothing of, and what they are when they are not given.
_OTHERS: Mapping[str, object] = {
    "truth": None,
    "rename": [],
    "transpose": [],
    "tolerance": [],
    "full": False,
    "workers": 1,
    "dask": "",
    "kernel": "",
    "out": None,
    "json": False,
}


def familiar_log(options: argparse.Namespace) -> Outcome:
    """Print the log and say what it concludes; options of other formats are refused."""
    for name, usual in _OTHERS.items():
        if getattr(options, name) != usual:
            raise UsageError(f"--{name}: not with --format reprod_log, which knows names and means")
    metric = "mean" if options.metric is None else options.metric
    threshold = THRESHOLD if options.threshold is None else options.threshold
    if metric not in (*METHODS, "all"):
        raise UsageError(f"--metric {metric}: expected mean, max, min or all")
    if not threshold >= 0.0:
        raise UsageError(f"--threshold {threshold}: expected a number of 0 or more")
    for path in (options.reference, options.candidate):
        if not path.exists():
            raise InputError(f"{path}: there is no such file or directory")
    helper = ReprodDiffHelper()
    first, second = helper.load_info(options.reference), helper.load_info(options.candidate)
    helper.compare_info(first, second)
    return helper.report(metric, threshold, path=None)
