"""What a comparison of two files concludes: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelparity.compare.figures import Figures
from modelparity.model import Finding, Outcome


@dataclass(frozen=True, slots=True)
class Compared:
    """One tensor: what was found, and the evidence.

    finding    its name is the reference's, or the candidate's where that faces nobody
    candidate  the candidate's name, None where there is none
    paired     the rule by which they face each other, "" for equal names, None for nobody
    dtype, shape  the reference's, or those of the side that has the tensor
    limit      where the tolerance comes from, "" where none was applied
    figures    None where nothing could be measured; against the truth where there is one
    own        the reference's figures against the truth
    """

    finding: Finding
    candidate: str | None
    paired: str | None
    dtype: str
    shape: tuple[int, ...]
    limit: str = ""
    figures: Figures | None = None
    own: Figures | None = None


@dataclass(frozen=True)
class Comparison:
    """Two files against each other; `tensors` are in the order in which to read them, worst first.

    matched   each rule that was given, and how many tensors it matched
    kernel    what measured: "numpy" or "compiled"
    """

    reference: str
    candidate: str
    truth: str
    outcome: Outcome
    reason: str
    tensors: tuple[Compared, ...]
    coverage: Mapping[str, int] = field(default_factory=dict)
    matched: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kernel: str = "numpy"
