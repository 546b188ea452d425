import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelparity.report.svg import HEIGHT, WIDTH, Chart, Curve, Line, draw, gauge, thinned

ANY = st.lists(st.floats(), max_size=40)


def chart(*curves, **options):
    drawn = [Curve(f"curve {n}", "gap", values) for n, values in enumerate(curves)]
    return Chart("title", "update", "gap", tuple(drawn), **options)


def heights(text):
    return [float(c.attrib["cy"]) for c in ElementTree.fromstring(text).iter("circle")]


@given(st.lists(ANY, min_size=1, max_size=3), st.booleans())
def test_any_curves_give_an_element_that_parses_and_stays_inside(curves, log):
    text = draw(chart(*curves, log=log, levels=(Line("limit", 1e-10),), indices=(Line("end", 7),)))
    if not text:
        assert not any(abs(v) < 1e300 for curve in curves for v in curve)
        return
    root = ElementTree.fromstring(text)
    for circle in root.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH
        assert 0 <= float(circle.attrib["cy"]) <= HEIGHT


def test_a_logarithmic_scale_puts_zeros_below_everything_with_a_label():
    text = draw(chart([0.0, 1e-15, 1e-3], log=True))
    zero, small, large = heights(text)
    assert zero > small > large
    assert ">0</text>" in text


def test_equal_ratios_are_equal_distances_on_a_logarithmic_scale():
    a, b, c = heights(draw(chart([1e-9, 1e-6, 1e-3], log=True)))
    assert a - b == pytest.approx(b - c, abs=0.2)


def test_a_level_beyond_the_curve_is_inside_the_chart():
    root = ElementTree.fromstring(draw(chart([1e-15, 1e-15], log=True, levels=(Line("l", 1e-3),))))
    level = next(e for e in root.iter("line") if e.attrib["class"] == "level")
    assert 0 < float(level.attrib["y1"]) < heights(ElementTree.tostring(root, "unicode"))[0]


def test_a_curve_breaks_where_it_is_not_finite():
    text = draw(chart([1.0, math.nan, 2.0]))
    assert ElementTree.fromstring(text).find(".//path").attrib["d"].count("M") == 2
    assert "nan ×" in text


def test_nothing_finite_draws_nothing():
    assert draw(chart([math.nan, math.inf])) == ""
    assert draw(chart([])) == ""


def test_points_carry_their_names():
    assert "<title>encoder: 0.5 (curve 0)</title>" in draw(chart([0.5, 1.0], names=("encoder",)))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=300))
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(values):
    kept = thinned(values, limit=5)
    points = dict(kept)
    assert {0, len(values) - 1} <= points.keys()
    finite = [v for v in values if math.isfinite(v)]
    if finite:
        assert {min(finite), max(finite)} <= set(points.values())
    assert all(values[i] == v for i, v in kept)


def test_a_thinned_curve_keeps_a_single_nan():
    values = [1.0] * 5000
    values[3210] = math.nan
    assert [i for i, v in thinned(values) if math.isnan(v)] == [3210]


def test_a_long_curve_is_thinned():
    assert len(thinned([float(n) for n in range(10_000)])) <= 1300


@pytest.mark.parametrize("ratio", [0.0, 1e-12, 0.999, 1.0, 1.1, 1e12, math.inf, math.nan])
def test_a_gauge_is_green_exactly_up_to_the_limit(ratio):
    circle = ElementTree.fromstring(gauge(ratio)).find("circle")
    assert circle.attrib["class"] == ("within" if ratio <= 1.0 else "beyond")
    assert (float(circle.attrib["cx"]) <= 54.0) is (ratio <= 1.0)
