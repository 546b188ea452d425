"""Compare any two sets of tensors: measured in one sweep, judged by tolerances with a source."""

from modelparity.compare.asserting import assert_aligned
from modelparity.compare.compare import Options, compare
from modelparity.compare.result import Compared, Comparison

__all__ = ["Compared", "Comparison", "Options", "assert_aligned", "compare"]
