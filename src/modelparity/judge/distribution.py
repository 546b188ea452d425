"""Two samples of one law or not: location, spread, shape, range, outliers, singly and pooled."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np

from modelparity.model import Finding, Outcome

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]  # (candidate's, reference's), each (n,) in float64
Test = tuple[str, float, str]  # what, p value, figures

ALPHA = 1e-4  # family-wise: one clean run in ten thousand may be accused
TESTS, POOLED_TESTS = 5, 4  # of a parameter, of a pool
POOLED = 8192  # values that a parameter brings into a pool
ALIKE = 4.0  # standard errors that two spreads of one family lie apart at most
TAIL = 20  # largest magnitudes of the reference that show how its tail falls
ROUNDING = 1e-5  # relative: bounds that frameworks round otherwise are one
HEAVY_TAILS = 1.0  # excess kurtosis: a normal sample's is 0 (0.7 either way in 48), Laplace's 3
POWER = 0.9  # what "would be caught" means


def level_of(pairs: Mapping[str, Pair]) -> float:
    """Bonferroni's share of ALPHA for each test of these parameters and their pools."""
    return ALPHA / max(1, TESTS * len(pairs) + POOLED_TESTS * len(families(pairs)))


def same_law(name: str, pair: Pair, level: float) -> Finding:
    """Whether two samples of a parameter are drawn alike: the least of five p values decides."""
    return _judged(name, [*_tests(*pair), _outlier(*pair)], level)


def same_law_together(pairs: Mapping[str, Pair], level: float) -> list[Finding]:
    """Each family of parameters that spread alike, and all of them, in units of their own spread.

    What is too little to be seen in any parameter by itself may be seen in all.
    """
    findings = []
    for members in families(pairs):
        scaled = [_in_own_units(*pairs[name]) for name in members]
        pool = tuple(np.concatenate(parts) for parts in zip(*scaled, strict=True))
        shown = ", ".join(members[:2])
        place = f"drawn together, {len(members)} parameters: {shown} and others"
        findings.append(_judged(place, [*_tests(*pool)], level))
    return findings


def families(pairs: Mapping[str, Pair]) -> list[tuple[str, ...]]:
    """Parameters whose reference spreads within chance of the next one's; last, all of them."""
    spreads = {name: _spread(r) for name, (_, r) in pairs.items()}
    ordered = sorted((name for name in pairs if spreads[name][0] > 0.0), key=spreads.__getitem__)
    found: list[list[str]] = [[name] for name in ordered[:1]]
    for before, name in pairwise(ordered):
        (a, a_error), (b, b_error) = spreads[before], spreads[name]
        if np.log(b / a) > ALIKE * np.hypot(a_error, b_error):
            found.append([])
        found[-1].append(name)
    several = [tuple(family) for family in found if len(family) > 1]
    return [*several, tuple(ordered)] if len(found) > 1 else several


def least_caught(pairs: Mapping[str, Pair], level: float) -> dict[str, float]:
    """Parameter -> the relative difference in standard deviation caught with probability POWER."""
    needed = _needed(level)
    return {
        name: needed * float(np.hypot(_spread(c)[1], _spread(r)[1]))
        for name, (c, r) in pairs.items()
        if r.std() > 0.0
    }


def least_caught_in_all(pairs: Mapping[str, Pair], level: float) -> float:
    """The same for a difference that all parameters have, by the pool of all."""
    scaled = [_in_own_units(*pair) for pair in pairs.values()]
    errors = np.array([np.hypot(_spread(c)[1], _spread(r)[1]) for c, r in scaled])
    sizes = np.array([r.size for _, r in scaled], np.float64)
    return _needed(level) * float(np.linalg.norm(errors * sizes)) / max(1.0, float(sizes.sum()))


def _needed(level: float) -> float:
    """Standard errors between nothing and what is caught with probability POWER."""
    return NormalDist().inv_cdf(POWER) - NormalDist().inv_cdf(level / 2)


def _judged(name: str, tests: list[Test], level: float) -> Finding:
    worst, p, figures = min(tests, key=lambda test: test[1])
    ratio = float(np.log(max(p, 1e-300)) / np.log(level))
    if p >= level:
        return Finding(name, "distribution", Outcome.ALIGNED, ratio=ratio)
    message = f"{worst} differs: {figures} (p = {p:.1g}, level {level:.1g})"
    return Finding(name, "distribution", Outcome.DIVERGED, message, ratio=ratio)


def _spread(values: Array) -> tuple[float, float]:
    """The mean distance from the median, and its relative standard error."""
    away = np.abs(values - np.median(values))
    mean = float(away.mean())
    return mean, float(away.std()) / (mean * np.sqrt(values.size)) if mean else 0.0


def _in_own_units(c: Array, r: Array) -> Pair:
    """Both samples, thinned alike, from their joint median in units of their joint spread."""
    step = -(-max(c.size, r.size) // POOLED)
    c, r = c[::step], r[::step]
    both = np.concatenate([c, r])
    centre, spread = float(np.median(both)), _spread(both)[0] or 1.0
    return (c - centre) / spread, (r - centre) / spread


def _tests(c: Array, r: Array) -> Iterator[Test]:
    """Welch's test of means and of spreads, Kolmogorov and Smirnov's of shape, and the range.

    Spreads are distances from the median (Brown and Forsythe 1974,
    doi:10.1080/01621459.1974.10482955), which heavy tails do not mislead.
    """
    c, r = np.sort(c), np.sort(r)
    yield "mean", _welch(c, r), f"{c.mean():.3g} against {r.mean():.3g}"
    away = [np.abs(values - np.median(values)) for values in (c, r)]
    yield "standard deviation", _welch(*away), f"{c.std():.4g} against {r.std():.4g}"
    yield "shape", _smirnov(c, r), f"Kolmogorov-Smirnov over {c.size:,} values"
    # If both samples have one parent, the k largest magnitudes all fall on one side with
    # probability 2^(1-k) (plus what finite samples add): tails that the other tests do not see.
    centre = np.median(np.concatenate([c, r]))
    far_c, far_r = np.abs(c - centre), np.abs(r - centre)
    end_c, end_r = (float(far.max()) * (1.0 + ROUNDING) for far in (far_c, far_r))
    run = max(np.count_nonzero(far_c > end_r), np.count_nonzero(far_r > end_c))
    extremes = f"largest {np.abs(c).max():.3g} against {np.abs(r).max():.3g}"
    yield "range", min(1.0, 2.0 ** (1.0 - float(run))), extremes


def _welch(a: Array, b: Array) -> float:
    """The p value of equal means, whatever the variances (1947, doi:10.2307/2332510)."""
    from scipy import stats

    parts = np.array([values.var(ddof=1) / values.size for values in (a, b)])
    gap, variance = abs(float(a.mean() - b.mean())), float(parts.sum())
    if not variance > 0.0:
        return float(gap == 0.0)
    freedom = variance**2 / float((parts**2 / (a.size - 1, b.size - 1)).sum())
    return 2.0 * float(stats.t.sf(gap / np.sqrt(variance), freedom))


def _smirnov(a: Array, b: Array) -> float:
    """The asymptotic p value of one law behind two sorted samples."""
    from scipy import special

    both = np.concatenate([a, b])
    shares = [np.searchsorted(x, both, side="right") / x.size for x in (a, b)]
    largest = float(np.abs(shares[0] - shares[1]).max())
    return float(special.kolmogorov(largest * np.sqrt(a.size * b.size / (a.size + b.size))))


def _outlier(c: Array, r: Array) -> Test:
    """One value that the others do not hide, far beyond where the reference's own tail ends.

    The k largest magnitudes of the reference exceed the next by y on average. If its tail falls no
    slower than an exponential, the ratio of another excess to y is F-distributed with 2 and 2k
    degrees of freedom; a normal or uniform tail falls faster. Nothing is claimed where the
    reference's tails are heavy.
    """
    from scipy import stats

    centre = np.median(r)
    far = np.sort(np.abs(r - centre))
    k = min(TAIL, r.size // 4)
    largest = float(np.abs(c - centre).max())
    figures = f"largest {np.abs(c).max():.3g} against {np.abs(r).max():.3g}"
    light = r.size > 1 and float(stats.kurtosis(r)) <= HEAVY_TAILS
    if k < 2 or not light or largest <= far[-1]:
        return "outlier", 1.0, figures
    beyond = max(float(far[-k:].mean() - far[-k - 1]), ROUNDING * float(far[-1]))
    excess = largest - float(far[-k - 1])
    p = (k + 1) * float(stats.f.sf(excess / beyond, 2, 2 * k))
    return "outlier", min(1.0, p), figures
