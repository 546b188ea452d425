"""Mistakes in an update: Adam and its kin, clipping and weight decay, tried on given gradients."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis
from modelparity.diff import rms
from modelparity.sketch import sketch

Array = np.ndarray[Any, Any]

BETAS1 = (0.0, 0.5, 0.8, 0.85, 0.88, 0.95, 0.98, 0.99)
BETAS2 = (0.9, 0.95, 0.98, 0.99, 0.995, 0.9995, 0.9999)
EPS = (0.0, *(10.0**-k for k in range(12, 2, -1)))
REPRODUCES = 1e-6  # of an update; the reference itself is met to 1e-10
STEPS = 6  # of the secant
RULES = {
    "belief": "the second moment is of the gradient's distance from the first (AdaBelief)",
    "trust": "the step is scaled by the parameter's norm over its own (LAMB)",
    "none": "nothing is updated",
    "descent": "plain gradient descent",
    "sign": "the step is the gradient's sign",
    "lion": "the step is the sign of the moments, as Lion's",
}
LION = 0.99  # its moment keeps that much, its step mixes 0.9 of it (arXiv:2302.06675)
OTHERS: Mapping[str, Callable[[Array, Array, Array], Array]] = {  # of gradient, moment, old moment
    "none": lambda g, m, old: 0.0 * g,
    "descent": lambda g, m, old: g,
    "sign": lambda g, m, old: np.sign(g),
    "lion": lambda g, m, old: np.sign(0.9 * old + 0.1 * g),
}


@dataclass(frozen=True)
class Adam:
    """Adam's settings, and which of its forms it is.

    eps is added to the root of the corrected second moment ("corrected": Kingma and Ba,
    arXiv:1412.6980, as in PyTorch), to the uncorrected one ("before", as in TensorFlow), or under
    the root ("inside"). `decay` is decoupled (Loshchilov and Hutter, arXiv:1711.05101) unless
    `coupled` adds it to the gradient; `late` decays what was updated. `uncorrected` moments keep
    their bias, `ahead` is how many updates more the correction counts. A `rule` of another kind
    takes the place of Adam's: see RULES.
    """

    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decay: float | Array = 0.0  # or one an element
    uncorrected: tuple[str, ...] = ()  # "first", "second"
    ahead: int = 0
    rule: str = "adam"
    place: str = "corrected"
    coupled: bool = False
    late: bool = False
    amsgrad: bool = False
    nesterov: bool = False
    rates: tuple[
        float | Array, ...
    ] = ()  # of the updates, relative to `rate`; all 1 where none are given


@dataclass(frozen=True)
class State:
    """What an update leaves: the parameter and both moments."""

    parameter: Array
    first_moment: Array
    second_moment: Array


def adam(
    start: Array,
    gradients: Iterable[Array],
    how: Adam,
    *,
    before: State | None = None,
    done: int = 0,
) -> State:
    """Updates of one parameter from given gradients, in float64.

    before, done  the moments of a training that goes on, and how many updates it counts
    """
    p = start.astype(np.float64)
    m, v, largest = (np.zeros_like(p) for _ in range(3))
    if before:
        m, v = before.first_moment, before.second_moment
    for number, given in enumerate(gradients, done + 1):
        g = given + how.decay * p if how.coupled else given
        old, m = m, how.beta1 * m + (1.0 - how.beta1) * g
        squared = np.square(g - m) if how.rule == "belief" else np.square(g)
        v = how.beta2 * v + (1.0 - how.beta2) * squared
        count = number + how.ahead
        first = 1.0 if "first" in how.uncorrected else 1.0 - how.beta1**count
        second = 1.0 if "second" in how.uncorrected else 1.0 - how.beta2**count
        direction = how.beta1 * m + (1.0 - how.beta1) * g if how.nesterov else m
        largest = np.maximum(largest, v)
        used = largest if how.amsgrad else v
        if how.place == "inside":
            root = np.sqrt(used / second + how.eps)
        elif how.place == "before":
            root = (np.sqrt(used) + how.eps) / np.sqrt(second)
        else:
            root = np.sqrt(used / second) + how.eps
        rate = how.rate * (how.rates[number - 1] if how.rates else 1.0)
        shrink = 0.0 if how.coupled else rate * how.decay
        with np.errstate(divide="ignore", invalid="ignore"):
            way = np.where(direction == 0.0, 0.0, (direction / first) / root)
        if how.rule in OTHERS:
            way = OTHERS[how.rule](g, m, old)
        step = rate * way * (_trust(p, way) if how.rule == "trust" else 1.0)
        kept = p if how.late else p * (1.0 - shrink)
        p = kept - step
        p = p * (1.0 - shrink) if how.late else p
    return State(p, m, v)


def _trust(p: Array, step: Array) -> float:
    long, wide = (float(np.linalg.norm(a)) for a in (p, step))
    return long / wide if long and wide else 1.0


def variants(right: Adam, decay: float = 0.01) -> Iterator[tuple[str, Adam]]:
    """Adam with one thing changed, in words."""
    for value in BETAS1:
        yield f"beta1 {value:g} in place of {right.beta1:g}", replace(right, beta1=value)
    for value in BETAS2:
        yield f"beta2 {value:g} in place of {right.beta2:g}", replace(right, beta2=value)
    for value in EPS:
        if value != right.eps:
            yield f"eps {value:g} in place of {right.eps:g}", replace(right, eps=value)
    yield "the moments' bias is not corrected", replace(right, uncorrected=("first", "second"))
    for moment in ("first", "second"):
        text = f"the {moment} moment's bias is not corrected"
        yield text, replace(right, uncorrected=(moment,))
    yield "the bias is corrected as if one update more were done", replace(right, ahead=1)
    for rule, text in RULES.items():
        beta1 = LION if rule == "lion" else right.beta1
        yield text, replace(right, rule=rule, beta1=beta1)
    yield (
        "eps is added before the second moment's bias is corrected",
        replace(right, place="before"),
    )
    yield "eps is added under the root", replace(right, place="inside")
    yield "eps squared is added under the root", replace(right, place="inside", eps=right.eps**2)
    yield "betas exchanged", replace(right, beta1=right.beta2, beta2=right.beta1)
    yield "AMSGrad's largest second moment is used", replace(right, amsgrad=True)
    yield "Nesterov's momentum is used", replace(right, nesterov=True)
    for factor in (0.1, 0.5, 2.0, 10.0):
        yield f"the rate is {factor:g} times as large", replace(right, rate=factor * right.rate)
    if not right.decay:
        yield f"it decays by {decay:g}", replace(right, decay=decay)
        yield (
            f"a decay of {decay:g} is added to the gradient",
            replace(right, decay=decay, coupled=True),
        )
        return
    yield "the decay is left out", replace(right, decay=0.0)
    for factor in (0.1, 0.5, 2.0, 10.0):
        text = f"the decay is {factor:g} times as large"
        yield text, replace(right, decay=factor * right.decay)
    yield (
        "the decay is added to the gradient (coupled, as L2 regularisation)",
        replace(right, coupled=True),
    )
    yield "what was updated decays, not what was there before", replace(right, late=True)
    yield (
        "the decay is not multiplied with the rate",
        replace(right, decay=right.decay / right.rate if right.rate else 0.0),
    )


def falling(right: Adam, updates: int) -> Iterator[Adam]:
    """The same under a constant rate, and under one that falls to zero behind the last update."""
    yield right
    yield replace(right, rates=tuple(1.0 - number / updates for number in range(updates)))


def hypotheses(
    kind: str,
    given: tuple[Array, list[Array]],
    reference: Array,
    right: Adam,
    decay: float,
    only: str = "",
) -> Iterator[Hypothesis]:
    """What updates would leave with one thing changed, sketched as recordings are.

    kind   "parameter", "first_moment" or "second_moment"; given  the start, and all gradients
    right  the reference's settings; its rate is found here, from how far the reference went
    decay  what a wrong decay would be where the reference has none; only  this hypothesis alone
    Nothing where Adam does not reproduce the reference.
    """
    start, gradients = given
    if kind == "parameter":
        right = replace(right, rate=_rate(given, reference, right))

    def left(how: Adam) -> Array:
        return sketch(getattr(adam(start, gradients, how), kind)).astype(np.float64)

    moved = rms(reference - sketch(start)) if kind == "parameter" else rms(reference)
    if not rms(left(right) - reference) <= REPRODUCES * moved:
        return
    for text, how in variants(right, decay):
        if only in ("", text):
            yield text, left(how)


def _rate(given: tuple[Array, list[Array]], reference: Array, right: Adam) -> float:
    """The rate that brings the start to where the reference is: a secant on what it moves."""
    start, gradients = given
    gone = reference - sketch(start)

    def moved(rate: float) -> Array:
        difference: Array = sketch(adam(start, gradients, replace(right, rate=rate)).parameter)
        return difference - sketch(start)

    rate, probe = 0.0, 1e-6
    for _ in range(STEPS):
        here = moved(rate)
        slope = (moved(rate + probe) - here) / probe
        power = float(np.vdot(slope, slope))
        if not power > 0.0:
            break
        rate += float(np.vdot(gone - here, slope)) / power
        probe = max(1e-9, 1e-4 * abs(rate))
    return rate
