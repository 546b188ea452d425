"""The figures of the sweep, against plain float64 NumPy and exactly rounded sums."""

import math

import numpy as np
import pytest
from compare_holding import figures, only
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelparity.compare.sweep import CHUNK
from modelparity.diff import measure

SHAPES = npst.array_shapes(min_dims=0, max_dims=3, max_side=6)
FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]
WHOLE = ["int8", "uint8", "int32", "int64", "uint64", "bool"]
ANY = st.sampled_from(FLOATS + WHOLE).flatmap(
    lambda dtype: SHAPES.flatmap(
        lambda shape: st.tuples(
            *[npst.arrays(dtype, shape, elements=npst.from_dtype(np.dtype(dtype)))] * 2
        )
    )
)
FINITE = st.sampled_from(["float16", "float32", "float64"]).flatmap(
    lambda dtype: SHAPES.flatmap(
        lambda shape: st.tuples(
            *[
                npst.arrays(
                    dtype,
                    shape,
                    elements=npst.from_dtype(
                        np.dtype(dtype), allow_nan=False, allow_infinity=False
                    ),
                )
            ]
            * 2
        )
    )
)


def close(found, expected, rel=1e-14):
    return found == expected or math.isclose(found, expected, rel_tol=rel)


def true_rms(values):
    """The root mean square with sums rounded once, of values scaled by a power of two."""
    values = np.abs(np.asarray(values, np.longdouble)).reshape(-1)
    peak = values.max(initial=0.0)
    if peak == 0.0 or not np.isfinite(peak):
        return float(peak)
    scaled = values / peak
    return float(peak * np.sqrt(np.sum(scaled * scaled) / values.size))


@settings(deadline=None)
@given(FINITE)
def test_figures_of_finite_arrays_are_those_of_plain_numpy(pair):
    c, r = pair
    found = figures(c, r, full=True)
    wide_c, wide_r = c.astype(np.float64), r.astype(np.float64)
    with np.errstate(over="ignore"):
        gap = np.abs(wide_c - wide_r)
    assert found.elements == r.size
    assert found.max_abs == gap.max()
    assert found.unequal == np.count_nonzero(c != r)
    if np.isfinite(gap).all():
        total = math.fsum((gap / gap.size).reshape(-1).tolist())
        assert close(found.mean_abs, total) or total < 1e-300
        assert close(found.rms, true_rms(gap)) or found.rms < 1e-300
    assert close(found.reference_rms, true_rms(wide_r)) or found.reference_rms < 1e-300
    assert found.reference_peak == np.abs(wide_r).max()
    if found.max_abs > 0.0:
        assert gap[found.worst] == gap.max()
        assert (found.worst_candidate, found.worst_reference) == (c[found.worst], r[found.worst])
    assert found.sign_flips == np.count_nonzero(np.sign(wide_c) * np.sign(wide_r) < 0)
    assert found.zero_unlike == np.count_nonzero((c == 0) != (r == 0))


@settings(deadline=None)
@given(ANY)
def test_what_is_not_finite_is_counted_on_each_side(pair):
    c, r = pair
    found = figures(c, r)
    if c.dtype.kind in "biu":
        assert found.nonfinite == 0
        assert found.unequal == np.count_nonzero(c != r)
        return
    bad = ~(np.isfinite(c) & np.isfinite(r))
    alike = (c == r) | (np.isnan(c) & np.isnan(r))
    assert found.nonfinite == np.count_nonzero(bad)
    assert found.candidate_nonfinite == np.count_nonzero(~np.isfinite(c))
    assert found.reference_nonfinite == np.count_nonzero(~np.isfinite(r))
    assert found.unlike == np.count_nonzero(bad & ~alike)


@settings(deadline=None)
@given(ANY)
def test_figures_are_those_of_the_ladder(pair):
    """`modelparity.diff.measure` is an independent implementation for whole arrays."""
    c, r = pair
    if c.dtype.kind == "c":
        return
    found, known = figures(c, r), measure(candidate=c, reference=r)
    for name in ("elements", "nonfinite", "max_abs"):
        assert getattr(found, name) == getattr(known, name), name
    for name in ("mean_abs", "rms"):
        ours, theirs = getattr(found, name), getattr(known, name)
        assert close(ours, theirs, 1e-12) or max(ours, theirs) < 1e-300, name


@settings(deadline=None)
@given(ANY)
def test_a_tensor_lies_at_no_distance_from_itself(pair):
    found = figures(pair[0], pair[0].copy(), full=True)
    assert (found.max_abs, found.mean_abs, found.rms, found.unlike) == (0.0, 0.0, 0.0, 0)
    assert found.worst is None


ADVERSARIAL = {
    "cancellation": lambda g, n: (g.standard_normal(n) * 1e-9 + 1.0, np.ones(n)),
    "denormals": lambda g, n: (g.random(n) * 1e-310, g.random(n) * 1e-310),
    "huge": lambda g, n: (g.standard_normal(n) * 1e200, g.standard_normal(n) * 1e200),
    "tiny": lambda g, n: (g.standard_normal(n) * 1e-200, g.standard_normal(n) * 1e-200),
    "mixed": lambda g, n: tuple(
        g.standard_normal(n) * 10.0 ** g.integers(-300, 300, n) for _ in "cr"
    ),
    "small differences of large values": lambda g, n: (1e15 + g.random(n), np.full(n, 1e15)),
    "one outlier": lambda g, n: (np.where(np.arange(n) == n - 2, 1e8, 0.0), np.zeros(n)),
}


@pytest.mark.parametrize("size", [1, 7, CHUNK - 1, CHUNK, CHUNK + 1, 70 * CHUNK + 3])
@pytest.mark.parametrize("case", ADVERSARIAL)
def test_sums_are_right_to_the_last_bits(case, size):
    c, r = ADVERSARIAL[case](np.random.default_rng(1), max(size, 3))
    found, gap = figures(c, r), np.abs(c - r)
    assert close(
        found.mean_abs, math.fsum((gap / gap.max()).tolist()) / gap.size * gap.max(), 4e-15
    )
    assert close(found.rms, true_rms(gap), 4e-15)
    assert close(found.reference_rms, true_rms(r), 4e-15)
    assert found.max_abs == gap.max()
    assert found.worst == (int(gap.argmax()),)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_compiled_kernel_finds_what_numpy_finds(dtype):
    pytest.importorskip("numba", reason="numba is not installed: pip install 'modelparity[fast]'")
    g = np.random.default_rng(2)
    for size in (1, 1023, 1025, 2 * CHUNK + 77):
        r = g.standard_normal(size).astype(dtype)
        c = (r * (1 + g.standard_normal(size) * 1e-6)).astype(dtype)
        ours, theirs = (figures(c, r, kernel=k) for k in ("compiled", "numpy"))
        assert (ours.max_abs, ours.worst) == (theirs.max_abs, theirs.worst)
        assert ours.reference_peak == theirs.reference_peak
        for name in ("mean_abs", "rms", "reference_rms"):
            assert close(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["candidate", "reference", "both"])
def test_the_compiled_kernel_is_no_less_wary_than_numpy(bad, side):
    pytest.importorskip("numba", reason="numba is not installed: pip install 'modelparity[fast]'")
    c, r = np.ones(3 * CHUNK, np.float32), np.ones(3 * CHUNK, np.float32)
    if side != "reference":
        c[CHUNK + 5] = bad
    if side != "candidate":
        r[CHUNK + 5] = bad
    found = [only(c, r, kernel=k) for k in ("compiled", "numpy")]
    assert found[0] == found[1]
    assert found[0].figures.nonfinite == 1


def test_distances_in_ulps_are_counted_in_the_tensors_own_dtype():
    r = np.linspace(0.5, 2.0, 100, dtype=np.float32)
    c = np.nextafter(np.nextafter(r, np.float32(9)), np.float32(9))
    assert figures(c, r, full=True).ulps == {"50": 2, "90": 2, "99": 2, "100": 2}
    double = figures(c.astype(np.float64), r.astype(np.float64), full=True)
    assert double.ulps["50"] == pytest.approx(2 * 2**29, rel=1 / 64)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zeros_of_either_sign_are_no_ulp_apart_and_their_neighbours_two(dtype):
    one = np.dtype(dtype).type
    tiny = np.nextafter(one(0), one(1))
    assert figures(np.array([-0.0], dtype), np.array([0.0], dtype), full=True).ulps["100"] == 0
    assert figures(np.array([tiny]), np.array([-tiny]), full=True).ulps["100"] == 2


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_the_cosine_survives_extremes(scale):
    r = np.array([3.0, 4.0]) * scale
    c = np.array([4.0, 3.0]) * scale
    assert figures(c, r, full=True).cosine == pytest.approx(24 / 25, rel=1e-14)


def test_the_cosine_with_nothing_is_none():
    assert figures(np.ones(3), np.zeros(3), full=True).cosine is None


def test_a_relative_distance_has_a_floor():
    found = figures(np.float32([1e-20, 2.0]), np.float32([0.0, 1.0]), full=True)
    assert found.relative_floor == 2.0**-23
    assert found.max_relative == 1.0
