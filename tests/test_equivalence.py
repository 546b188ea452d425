"""Step 10 over seeds: alike is aligned, unlike is diverged, too few seeds are inconclusive."""

import numpy as np
import pytest

from modelparity import Fault, Outcome, UsageError, check, judge
from modelparity.cases import load_case
from modelparity.seeds import record_seeds, wanted
from toy.recorded import kept, manifest_of, record_both, write_manifest

SEEDS = 16
CHANGES = {"seeds": str(SEEDS), "epochs": "10"}


def over_seeds(shift, seeds, spread=1.0):
    """A quantity of both sides whose runs scatter alike; the candidate's mean is shifted."""
    draw = np.random.default_rng(seeds)
    return draw.normal(shift, spread, seeds), draw.normal(0.0, 1.0, seeds)


def judged(shift, seeds, **how):
    found = judge.interval(*over_seeds(shift, seeds, **how))
    return judge.equivalent("it", found, 1e-4).outcome


def test_an_interval_inside_the_margin_is_aligned():
    assert judged(0.0, 40) is Outcome.ALIGNED


def test_few_seeds_are_inconclusive_and_say_how_many_would_do():
    found = judge.interval(np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 2.5]))
    finding = judge.equivalent("it", found, 1e-4)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "not enough seeds to tell" in finding.message
    assert "would do" in finding.message


def test_means_that_lie_apart_diverge():
    assert judged(3.0, 16) is Outcome.DIVERGED


def test_quantities_that_never_move_are_aligned_where_equal_and_diverge_where_not():
    flat = np.full(16, 0.5)
    same, other = judge.interval(flat, flat), judge.interval(flat + 0.1, flat)
    assert judge.equivalent("it", same, 1e-4).outcome is Outcome.ALIGNED
    assert judge.equivalent("it", other, 1e-4).outcome is Outcome.DIVERGED


def test_a_few_seeds_that_differ_by_one_step_of_a_score_are_not_accused():
    reference = np.array([0.50, 0.53, 0.47])
    found = judge.interval(reference + 0.03, reference)
    assert judge.equivalent("it", found, 1e-4).outcome is not Outcome.DIVERGED


def test_a_clean_comparison_is_rarely_accused():
    """At the level of one in a thousand, 2,000 clean ones."""
    draw = np.random.default_rng(1)
    accused = 0
    for _ in range(2000):
        found = judge.interval(draw.normal(0.0, 1.0, 12), draw.normal(0.0, 1.0, 12))
        accused += judge.equivalent("it", found, 1e-3).outcome is Outcome.DIVERGED
    assert accused <= 8


def right(draw, chances, seeds):
    return draw.random((seeds, len(chances))) < chances


def test_other_items_being_right_diverges_where_as_many_are_right():
    draw = np.random.default_rng(2)
    chances = np.linspace(0.1, 0.9, 200)
    found = judge.rightness("it", right(draw, chances[::-1], 16), right(draw, chances, 16), 1e-4)
    assert found.outcome is Outcome.DIVERGED
    assert "other items are right" in found.message


def test_the_same_items_being_right_is_aligned():
    draw = np.random.default_rng(3)
    chances = np.linspace(0.1, 0.9, 200)
    sides = (right(draw, chances, 16), right(draw, chances, 16))
    assert judge.rightness("it", *sides, 1e-4).outcome is Outcome.ALIGNED
    few = (side[:4] for side in sides)
    assert judge.rightness("it", *few, 1e-4).outcome is Outcome.INCONCLUSIVE


def trained(sides, fault=None, numbers=range(1, SEEDS + 1)):
    """Both sides' seeds, in this process."""
    case = load_case("toy")
    for role, out in (("reference", sides.reference), ("candidate", sides.candidate)):
        record_seeds(
            case,
            role,
            f"toy.{role}",
            out,
            given=sides.reference if role == "candidate" else None,
            numbers=tuple(numbers),
            changes=CHANGES,
            fault=fault if role == "candidate" else None,
        )


def outcomes(sides):
    [verdict] = check(sides.reference, sides.candidate, steps=(10,)).verdicts
    return {f.name: f.outcome for f in verdict.findings if f.rule == "equivalence"}, verdict


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """Both sides of the toy, step 10 and its seeds; nobody may change these files."""
    sides = record_both(tmp_path_factory.mktemp("seeded"), steps=(10,), **CHANGES)
    trained(sides)
    return sides


def test_a_clean_port_is_aligned_over_seeds(seeded):
    found, verdict = outcomes(seeded)
    assert verdict.outcome is Outcome.ALIGNED, verdict.reason
    assert len(found) > 4
    assert verdict.coverage["seeds"] == SEEDS
    assert set(verdict.details["equivalence"]) <= {name.removeprefix("seeds/") for name in found}


def slower(functions):
    def build_optimizer(model, settings, updates):
        rate = 0.9 * settings["learning_rate"]
        return functions["build_optimizer"](model, {**settings, "learning_rate": rate}, updates)

    return {"build_optimizer": build_optimizer}


def undropped(functions):
    return {"build_model": lambda settings: functions["build_model"]({**settings, "rate": 0.0})}


@pytest.mark.slow
@pytest.mark.parametrize("override", [slower, undropped])
def test_a_tenth_less_rate_or_no_dropout_diverges_over_as_many_seeds(seeded, tmp_path, override):
    sides = seeded.copy(tmp_path)
    trained(sides, Fault(override.__name__, 10, "seeds", "trained otherwise", override))
    found, _ = outcomes(sides)
    assert Outcome.DIVERGED in found.values(), found


def test_a_seed_that_is_recorded_is_not_trained_again(seeded, tmp_path):
    sides = seeded.copy(tmp_path)
    places = sorted((sides.candidate / "seeds").iterdir())
    before = {place: (place / "manifest.json").stat().st_mtime_ns for place in places}
    removed = places[2]
    for file in removed.iterdir():
        file.unlink()
    trained(sides)
    after = {place: (place / "manifest.json").stat().st_mtime_ns for place in places}
    assert [place for place in places if before[place] != after[place]] == [removed]


def test_other_code_or_another_fault_trains_again(seeded, tmp_path):
    sides = seeded.copy(tmp_path)
    place = sides.candidate / "seeds" / "0001"
    before = (place / "manifest.json").stat().st_mtime_ns
    trained(sides, Fault("undropped", 10, "seeds", "trained otherwise", undropped), numbers=(1,))
    assert (place / "manifest.json").stat().st_mtime_ns != before
    manifest = manifest_of(place)
    manifest["fault"], manifest["sources"]["toy.candidate"] = "", "0"
    write_manifest(place, manifest, sealed=True)
    trained(sides, numbers=(1,))
    assert manifest_of(place)["sources"]["toy.candidate"] != "0"


def test_a_missing_or_altered_seed_is_inconclusive(seeded):
    file = seeded.candidate / "seeds" / "0003" / "manifest.json"
    with kept(file):
        manifest = manifest_of(file.parent)
        manifest["weights"] = "other"
        write_manifest(file.parent, manifest, sealed=True)
        assert "seed 3: manifest field weights" in outcomes(seeded)[1].reason
        file.unlink()
        found, verdict = outcomes(seeded)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "candidate seed 3" in verdict.reason
    assert not found


def test_another_order_of_the_data_diverges(seeded, tmp_path):
    def override(functions):
        def training_batches(settings, epoch):
            return list(functions["training_batches"](settings, epoch))[::-1]

        return {"training_batches": training_batches}

    sides = seeded.copy(tmp_path)
    trained(sides, Fault("reversed", 8, "order", "batches backwards", override))
    found, verdict = outcomes(sides)
    assert set(found.values()) == {Outcome.DIVERGED}
    assert "see step 8" in verdict.reason


@pytest.mark.parametrize("text", ["many", "-1"])
def test_a_number_of_seeds_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=f"--set seeds={text}"):
        wanted(load_case("toy"), (f"seeds={text}",))
