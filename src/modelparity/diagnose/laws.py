"""How initial values are drawn: the usual laws, and which of them a sample looks like."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SPREADS = (0.01, 0.02, 0.04, 0.05, 0.1, 1.0)  # usual standard deviations of normal laws
SMALLEST = 12  # values; fewer look like anything
LEVEL = 1e-3  # a law that a sample contradicts at this level is not offered
SECOND = 0.1  # nor is one that fits this much worse than the best
SAID = 2  # laws
CUT_AT_TWO = 0.87962566103423978  # standard deviation of a normal law cut at two of its own


@dataclass(frozen=True)
class Law:
    """A law in words, its standard deviation, and its form: uniform, normal or cut."""

    text: str
    spread: float
    form: str


def laws(shape: tuple[int, ...]) -> Iterator[Law]:
    """What frameworks draw parameters of this shape from."""
    for spread in SPREADS:
        yield Law(f"the normal law of standard deviation {spread:g}", spread, "normal")
        text = f"the normal law of standard deviation {spread:g}, cut at two of them"
        yield Law(text, spread * CUT_AT_TWO, "cut")
    if not shape:
        return
    fan_in, fan_out = (shape[1] if len(shape) > 1 else shape[0]), shape[0]
    receptive = math.prod(shape[2:])
    ins, outs = fan_in * receptive, fan_out * receptive
    for name, spread in (
        ("Xavier's", math.sqrt(2.0 / (ins + outs))),
        ("Kaiming's", math.sqrt(2.0 / ins)),
        ("Kaiming's by fan-out,", math.sqrt(2.0 / outs)),
        ("torch.nn.Linear's own", math.sqrt(1.0 / (3.0 * ins))),
        ("the transposed torch.nn.Linear's own", math.sqrt(1.0 / (3.0 * outs))),
        ("LeCun's", math.sqrt(1.0 / ins)),
    ):
        for form in ("uniform", "normal", "cut"):
            yield Law(f"{name} {form} law, standard deviation {spread:.4g}", spread, form)


def looks_like(sample: Array, *shapes: tuple[int, ...]) -> str:
    """The law that a parameter's sample (n,) fits best, a usual one if any; "" where none does.

    shapes  that it may be drawn by, (outputs, inputs, ...): a bias's own, and its weight's
    """
    values = np.sort(np.asarray(sample, np.float64).reshape(-1))
    if values.size < SMALLEST or not values.std():
        return ""
    bound = float(np.abs(values).max()) * (1.0 + 1.0 / values.size)
    fitted = (
        Law(f"a uniform law up to {bound:.4g}", bound / math.sqrt(3.0), "uniform"),
        Law(
            f"a normal law of standard deviation {values.std():.4g}", float(values.std()), "normal"
        ),
    )
    for known in (dict.fromkeys(chain.from_iterable(map(laws, shapes))), fitted):
        tried = sorted(((_fits(values, law), law.text) for law in known), reverse=True)
        likely = [(p, text) for p, text in tried if p > max(LEVEL, SECOND * tried[0][0])]
        if likely:
            listed = ", or ".join(f"{text} (p = {p:.2g})" for p, text in likely[:SAID])
            return f"the candidate's values look like {listed}"
    return ""


def _fits(values: Array, law: Law) -> float:
    """The p value of Kolmogorov and Smirnov's test."""
    from scipy import stats

    if law.form == "uniform":
        half = law.spread * math.sqrt(3.0)
        known = stats.uniform(-half, 2.0 * half)
    elif law.form == "cut":
        known = stats.truncnorm(-2.0, 2.0, scale=law.spread / CUT_AT_TWO)
    else:
        known = stats.norm(scale=law.spread)
    return float(stats.kstest(values, known.cdf).pvalue)
