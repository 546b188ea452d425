"""Rules of judgement: measured distances and tolerances -> findings -> a verdict.

Every rule accepts what is within and never rejects what is beyond, so that a NaN cannot pass.
"""

from modelparity.judge.arrays import (
    AT_PADDING,
    FLOAT64,
    GROUP_FLOOR,
    NOISE_FACTOR,
    ULP32,
    UPDATES,
    exact,
    float64,
    group_rounding,
    group_scale,
    noise,
    split_by_mask,
)
from modelparity.judge.curves import (
    ENVELOPE_FACTOR,
    HORIZON,
    POINT,
    envelope,
    schedule,
    trajectory,
)
from modelparity.judge.distribution import (
    POWER,
    Pair,
    least_caught,
    least_caught_in_all,
    level_of,
    same_law,
    same_law_together,
)
from modelparity.judge.equivalence import Interval, equivalent, interval, rightness
from modelparity.judge.verdict import conclude, facts, inconclusive, missing

__all__ = [
    "AT_PADDING",
    "ENVELOPE_FACTOR",
    "FLOAT64",
    "GROUP_FLOOR",
    "HORIZON",
    "NOISE_FACTOR",
    "POINT",
    "POWER",
    "ULP32",
    "UPDATES",
    "Interval",
    "Pair",
    "conclude",
    "envelope",
    "equivalent",
    "exact",
    "facts",
    "float64",
    "group_rounding",
    "group_scale",
    "inconclusive",
    "interval",
    "least_caught",
    "least_caught_in_all",
    "level_of",
    "missing",
    "noise",
    "rightness",
    "same_law",
    "same_law_together",
    "schedule",
    "split_by_mask",
    "trajectory",
]
