"""modelparity proves that a port of a model is the model, in ten steps."""

from modelparity.check import check
from modelparity.compare import assert_aligned
from modelparity.errors import InputError, ParityError, UsageError
from modelparity.model import Case, Fault, Outcome, Report, Rule, Setting, Tolerance, Verdict

__all__ = [
    "Case",
    "Fault",
    "InputError",
    "Outcome",
    "ParityError",
    "Report",
    "Rule",
    "Setting",
    "Tolerance",
    "UsageError",
    "Verdict",
    "assert_aligned",
    "check",
]
