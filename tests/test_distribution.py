"""Rule `distribution`: other laws are told apart, one law never is, and the power is as stated."""

import numpy as np
import pytest

from modelparity import Fault, check, judge
from modelparity.judge.distribution import families
from modelparity.model import Outcome
from toy.recorded import record_side

SIZE = 65_536
CUT = 0.87962566103423978  # standard deviation of a normal law cut at two of its own


def normal(draw, size, spread=0.02):
    return draw.normal(0.0, spread, size)


def cut(draw, size):
    values = draw.normal(0.0, 0.02 / CUT, 2 * size)
    return values[np.abs(values) < 0.04 / CUT][:size]


def uniform(draw, size):
    return draw.uniform(-0.02 * 3**0.5, 0.02 * 3**0.5, size)


LAWS = {
    "normal": normal,
    "uniform": uniform,
    "cut": cut,
    "laplace": lambda draw, size: draw.laplace(0.0, 1.0, size),
    "student": lambda draw, size: draw.standard_t(5, size),
    "cauchy": lambda draw, size: draw.standard_cauchy(size),
    "signs": lambda draw, size: draw.choice([-1.0, 1.0], size),
    "clipped": lambda draw, size: np.clip(draw.normal(0.0, 1.0, size), -2.0, 2.0),
    "sparse": lambda draw, size: draw.normal(0.0, 1.0, size) * (draw.random(size) < 0.1),
}


def judged(pairs):
    level = judge.level_of(pairs)
    alone = [judge.same_law(name, pair, level) for name, pair in pairs.items()]
    together = judge.same_law_together(pairs, level)
    return [f.outcome is Outcome.DIVERGED for f in alone], [
        f.outcome is Outcome.DIVERGED for f in together
    ]


@pytest.mark.parametrize("wrong", ["wider", "cut", "uniform"])
def test_another_law_of_one_parameter_is_caught(wrong):
    draw = np.random.default_rng(1)
    pairs = {f"p{n}": (normal(draw, SIZE), normal(draw, SIZE)) for n in range(20)}
    other = {"wider": normal(draw, SIZE, 0.0207), "cut": cut(draw, SIZE)}
    pairs["p7"] = other.get(wrong, uniform(draw, SIZE)), pairs["p7"][1]
    alone, _ = judged(pairs)
    assert [number for number, diverged in enumerate(alone) if diverged] == [7]


def test_what_no_small_parameter_shows_is_caught_in_all_of_them():
    draw = np.random.default_rng(2)
    sizes = [288 + 300 * n for n in range(30)]
    pairs = {f"p{n}": (normal(draw, n, 0.0207), normal(draw, n)) for n in sizes}
    alone, together = judged(pairs)
    assert not any(alone)
    assert any(together)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("size", [60, 4096])
def test_one_law_is_not_accused(law, size):
    """At one in ten thousand a call; 200 calls of each law in each size."""
    draw = np.random.default_rng(3)
    accused = 0
    for _ in range(200):
        pairs = {name: (law(draw, size), law(draw, size)) for name in ("a", "b")}
        accused += any(map(any, judged(pairs)))
    assert accused <= 1


def test_bounds_that_are_rounded_otherwise_are_one():
    draw = np.random.default_rng(4)
    c, r = (np.clip(draw.normal(0.0, 1.0, 4096), -2.0, 2.0) for _ in range(2))
    assert judge.same_law("it", (c * (1.0 + 2.0**-22), r), 1e-6).outcome is Outcome.ALIGNED


def test_one_value_far_away_is_caught_where_tails_are_light():
    draw = np.random.default_rng(5)
    c, r = normal(draw, 4096), normal(draw, 4096)
    c[7] = 1.0
    found = judge.same_law("it", (c, r), 1e-6)
    assert found.outcome is Outcome.DIVERGED
    assert "outlier" in found.message


def test_the_stated_power_is_the_power():
    """A difference that is said to be caught nine times in ten is."""
    draw = np.random.default_rng(6)
    level, caught = 1e-6, 0
    for _ in range(200):
        r = normal(draw, 4096)
        least = judge.least_caught({"it": (r, r)}, level)["it"]
        c = normal(draw, 4096, 0.02 * (1.0 + least))
        caught += judge.same_law("it", (c, r), level).outcome is Outcome.DIVERGED
    assert 0.8 <= caught / 200 <= 0.99


def test_families_are_parameters_that_spread_alike_and_all():
    draw = np.random.default_rng(7)
    pairs = {f"{s}/{n}": (normal(draw, 9000, s),) * 2 for s in (0.02, 0.05) for n in range(3)}
    narrow, wide = ({f"{spread}/{n}" for n in range(3)} for spread in (0.02, 0.05))
    assert list(map(set, families(pairs))) == [narrow, wide, narrow | wide]


def test_the_report_states_the_power_of_its_tests(recorded):
    [verdict] = check(recorded.reference, recorded.candidate, steps=(9,)).verdicts
    assert verdict.outcome is Outcome.ALIGNED
    [note] = verdict.notes
    assert "another standard deviation is caught with probability 90%" in note
    assert set(verdict.details["least spread caught"]) == {
        name.removeprefix("drawn/")
        for name in (f.name for f in verdict.findings)
        if name.startswith("drawn/")
    }


def scaled(factor):
    def override(functions):
        def build_model(settings):
            model = functions["build_model"](settings)
            for _, module in model.modules():
                for name, values in module.params.items():
                    if values.ndim == 2:
                        module.params[name] = values * values.dtype.type(factor)
            return model

        return {"build_model": build_model}

    return Fault("scaled", 9, "drawn", "another standard deviation", override)


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, Outcome.ALIGNED), (1.1, Outcome.DIVERGED)])
def test_what_is_said_to_be_caught_in_all_parameters_is(recorded, tmp_path, factor, outcome):
    """The toy is tiny: its note says which difference its few values show."""
    wrong = record_side(
        "candidate", tmp_path / "it", given=recorded.reference, fault=scaled(factor), steps=(9,)
    )
    [verdict] = check(recorded.reference, wrong, steps=(9,)).verdicts
    assert verdict.outcome is outcome, verdict.notes
