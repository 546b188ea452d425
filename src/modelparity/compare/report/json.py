"""The comparison for programs, as strict JSON."""

import json
from dataclasses import asdict

from modelparity.compare.figures import Figures
from modelparity.compare.report.common import shown, tally
from modelparity.compare.result import Compared, Comparison
from modelparity.report.json import plain

FORMAT = 1
ALIGNED = 1_000  # those nearest to their limits; `counts` has all of them


def as_json(comparison: Comparison) -> str:
    """The comparison as JSON text; numbers that JSON lacks are the strings "NaN" and "Infinity"."""
    chosen, left = shown(comparison, len(comparison.tensors), ALIGNED)
    data = {
        "format": FORMAT,
        "outcome": comparison.outcome.value,
        "reason": comparison.reason,
        "reference": comparison.reference,
        "candidate": comparison.candidate,
        "truth": comparison.truth,
        "kernel": comparison.kernel,
        "coverage": comparison.coverage,
        "counts": {outcome.value: n for outcome, n in tally(comparison).items()},
        "rules": [{"rule": rule, "matched": n} for rule, n in comparison.matched.items()],
        "notes": comparison.notes,
        "tensors": [_tensor(compared) for compared in chosen],
        "left_out": left,
    }
    return json.dumps(plain(data), indent=1, allow_nan=False) + "\n"


def _tensor(compared: Compared) -> dict[str, object]:
    finding = compared.finding
    return {
        "name": finding.name,
        "candidate": compared.candidate,
        "paired_by": "name" if compared.paired == "" else compared.paired,
        "outcome": finding.outcome.value,
        "rule": finding.rule,
        "ratio": finding.ratio,
        "message": finding.message,
        "hints": finding.hints,
        "limit": compared.limit,
        "dtype": compared.dtype,
        "shape": compared.shape,
        "figures": _figures(compared.figures),
        "reference_against_truth": _figures(compared.own),
    }


def _figures(figures: Figures | None) -> dict[str, object] | None:
    if figures is None:
        return None
    return {**asdict(figures), "rms_ratio": figures.rms_ratio}
