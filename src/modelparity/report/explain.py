"""What outcomes and kinds of evidence mean, in a few words; the figures are those of the judge."""

from modelparity import judge
from modelparity.judge.equivalence import CONFIDENCE
from modelparity.model import Outcome

MEANING = {
    Outcome.ALIGNED: (
        "Every claimed step holds for everything that was compared. "
        "Steps that are not claimed prove nothing."
    ),
    Outcome.DIVERGED: (
        "At least one claim is refuted: the sides differ by more than rounding explains. "
        "Start with the first red step, because later ones may follow from it."
    ),
    Outcome.INCONCLUSIVE: (
        "Nothing is refuted, but evidence is missing or cannot be used. This is not a pass."
    ),
}

OUTCOMES = (
    ("aligned", "everything compared lies within its limit; the coverage says how much that was"),
    (
        "diverged",
        "at least one comparison lies beyond its limit, or a name, shape or dtype differs",
    ),
    ("inconclusive", "evidence is missing, incomplete or too weak to decide; never a pass"),
    ("not claimed", "the step was not requested, so nothing is said about it"),
)

RULES = (
    ("exact", "shapes, dtypes and every element are equal"),
    (
        "float64",
        f"both sides in double precision: rms of the difference within {judge.FLOAT64.rms:g} of "
        f"the reference's rms, peak within {judge.FLOAT64.peak:g} ({judge.FLOAT64.source}); "
        f"after updates {judge.UPDATES.rms:g} and {judge.UPDATES.peak:g}",
    ),
    (
        "noise",
        f"the candidate's float32 lies at most {judge.NOISE_FACTOR:g} times as far from the "
        "float64 reference as the reference's own float32; a gradient or a training that lies "
        "beyond in float32 alone is accused only if it does from weights moved by one ulp too, "
        "since rounding decides by chance on which side of an activation's kink a value lies",
    ),
    ("schedule", "every rate within one float64 ulp of the peak rate"),
    ("distribution", "two-sample tests over seeds, corrected for their number"),
    (
        "trajectory",
        f"every point of a curve: float64 within {judge.POINT:g} of the value; float32 within "
        f"{judge.ENVELOPE_FACTOR:g} times as far as float32 moves the reference (runs nudged by "
        "one ulp, and its own distance from its float64 run), up to the horizon, where that is "
        f"{judge.HORIZON:g} of the loss",
    ),
    (
        "equivalence",
        f"over seeds: the {CONFIDENCE * 2 - 1:.0%} confidence interval of the difference of means "
        "inside the margin, which is the standard deviation between two of the reference's own "
        "seeds; diverged where the difference is significant, inconclusive in between",
    ),
    ("gross", "only differences that no rounding brings about; says little"),
    ("completeness", "what was promised is there and can be read"),
)
