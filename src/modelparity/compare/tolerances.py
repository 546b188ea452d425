"""How far apart two tensors may lie, by their dtype or as it was asked for, with the source."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from modelparity.errors import UsageError
from modelparity.judge.arrays import FLOAT64
from modelparity.model import Tolerance


@dataclass(frozen=True)
class Elementwise:
    """Every element within atol + rtol * abs(reference), as NumPy's allclose has it."""

    rtol: float
    atol: float
    source: str


@dataclass(frozen=True)
class Exact:
    """Every element equal."""

    source: str


Limit = Tolerance | Elementwise | Exact

FLOAT32 = Tolerance(1e-5, 1e-4, "clean ports of six layers reach 2.4e-6, 1.1e-5; a truth says more")
# Rounded to few bits layer by layer: a handful of units in the last place of 1.0 (2**-10, 2**-7).
FLOAT16 = Tolerance(4 * 2.0**-10, 16 * 2.0**-10, "4 and 16 units in the last place of float16")
BFLOAT16 = Tolerance(4 * 2.0**-7, 16 * 2.0**-7, "4 and 16 units in the last place of bfloat16")
# A format to store in, not to compute in: one value rounded to its other neighbour.
FLOAT8_E4M3 = Tolerance(2.0**-4, 2.0**-3, "half and one unit in the last place of float8_e4m3")
FLOAT8_E5M2 = Tolerance(2.0**-3, 2.0**-2, "half and one unit in the last place of float8_e5m2")
WHOLE = Exact("whole numbers and bools are equal or not")

BY_DTYPE: Mapping[str, Limit] = {
    "float64": FLOAT64,
    "complex128": FLOAT64,
    "float32": FLOAT32,
    "complex64": FLOAT32,
    "float16": FLOAT16,
    "bfloat16": BFLOAT16,
}


def of_dtype(dtype: str) -> Limit:
    """The tolerance of a dtype by its name; everything that is no floating dtype is exact."""
    if dtype.startswith("float8_e4m3"):
        return FLOAT8_E4M3
    if dtype.startswith("float8_e5m2"):
        return FLOAT8_E5M2
    return BY_DTYPE.get(dtype, WHOLE)


@dataclass(frozen=True)
class Override:
    """A tolerance for names of a form: a shell pattern, where `*` stands for anything.

    With no pattern ("") it is for every tensor whose dtype is not judged as exact.
    """

    pattern: str
    limit: Limit
    text: str


def override(text: str) -> Override:
    """An override from "[PATTERN:] exact", "[PATTERN:] rms=X, peak=Y" or "... rtol=X, atol=Y".

    What is left out of a pair is 0 for rtol and atol, unlimited for rms and peak. UsageError for
    other texts.
    """
    wrong = UsageError(
        f"--tolerance {text!r}: expected 'rms=X, peak=Y', 'rtol=X, atol=Y' or 'exact', "
        "with 'PATTERN:' before it for some names only"
    )
    pattern, colon, words = text.rpartition(":")
    pattern = pattern.strip()
    source = f"--tolerance {text.strip()}"
    if colon and not pattern:
        raise wrong
    if words.strip() == "exact":
        return Override(pattern, Exact(source), text)
    values: dict[str, float] = {}
    for word in words.split(","):
        key, equals, value = (part.strip() for part in word.partition("="))
        try:
            values[key] = float(value)
        except ValueError:
            raise wrong from None
        if not equals or not values[key] >= 0.0:
            raise wrong
    if values.keys() <= {"rms", "peak"}:
        limit: Limit = Tolerance(values.get("rms", math.inf), values.get("peak", math.inf), source)
    elif values.keys() <= {"rtol", "atol"}:
        limit = Elementwise(values.get("rtol", 0.0), values.get("atol", 0.0), source)
    else:
        raise wrong
    return Override(pattern, limit, text)


def choose(dtype: str, names: Sequence[str], overrides: Sequence[Override]) -> Limit:
    """The last override that one of a tensor's names matches, else the tolerance of its dtype."""
    usual = of_dtype(dtype)
    for o in reversed(overrides):
        if o.pattern and any(fnmatchcase(name, o.pattern) for name in names):
            return o.limit
        if not o.pattern and not isinstance(usual, Exact):
            return o.limit
    return usual
