"""The judging half against spoilt recordings: whatever is wrong with them, they are not aligned."""

import re
import shutil
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest

from modelparity import Outcome, check
from modelparity.check import ALL_STEPS, overall
from modelparity.errors import InputError
from modelparity.recording import read
from modelparity.steps import BESIDE, START, STEPS
from toy.recorded import (
    add_arrays,
    change_file,
    kept,
    leave_out,
    manifest_of,
    replace,
    write_manifest,
)

NAMES = {step.NAME: step.NUMBER for step in STEPS}
RECORDINGS = (START.NAME, *NAMES)
SIDES = ("reference", "candidate")
# Of the reference alone, with the step that it is for.
ALONE = {part.NAME: number for number, parts in BESIDE.items() for part in parts}
PLACES = [(side, name) for side in SIDES for name in RECORDINGS]
PLACES += [("reference", name) for name in ALONE]
every_place = pytest.mark.parametrize(("side", "name"), PLACES)
every_side = pytest.mark.parametrize("side", SIDES)


def verdict_of(sides, name):
    """The verdict of a step; the models' recording is judged by the first."""
    number = (NAMES | ALONE).get(name, 1)
    return check(sides.reference, sides.candidate, steps=(number,)).verdicts[0]


def sample(things, limit=60):
    """Evenly spread ones of many things that are all alike: each costs a judgement of the step."""
    stride = -(-len(things) // limit)
    return list(things.items())[::stride]


def objection(verdict, *mentions):
    """Why a verdict is not the one that a spoilt recording must get, "" where it is.

    It must not be aligned, and must name the array, file or field: in its reason, or where an
    earlier difference gives the reason, in another finding.
    """
    if verdict.outcome is Outcome.ALIGNED:
        return "aligned"
    said = verdict.reason
    if verdict.outcome is Outcome.DIVERGED:
        bad = [f for f in verdict.findings if f.outcome is not Outcome.ALIGNED]
        said += "".join(f"{f.name}: {f.message}" for f in bad)
    return "" if any(mention in said for mention in mentions) else verdict.reason


def stored(recording):
    """(file, key) -> the names of the arrays that are stored there."""
    found = {}
    for name, entry in recording.manifest["arrays"].items():
        found.setdefault((entry["file"], entry["key"]), []).append(name)
    return found


def spoilt(step, name, array, place):
    """The array with one element beyond its tolerance, or as few as its rule can see."""
    wrong = array.copy()
    flat = wrong.reshape(-1)
    peak = float(np.abs(array.astype(np.float64)).max()) or 1.0
    rough = name.startswith("float32/")  # judged by the reference's own rounding
    if step == "initialisation" and name.startswith("drawn/"):
        flat[place] += 100.0 * peak  # no nearer element makes another distribution
    elif array.dtype.kind == "f" and "/score/" in name and rough:
        flat[place] += 0.5 * max(1.0, peak)  # only gross differences count here
    elif array.dtype.kind == "f":
        flat[place] += peak * (1e-2 if rough else 1e-6)
    elif rough and step == "metrics":
        flat[:11] += 1  # ten decisions may flip in float32
    elif array.dtype == bool:
        flat[place] ^= True
    else:
        flat[place] += 1
    return wrong


def unaccused(sides, step, things, spoil):
    """Those of the things whose spoiling is not found.

    spoil  a context manager that spoils some things: {thing: the names that stand for it}

    All are spoilt at once first, and whoever has a diverged finding of its own is found; the others
    are spoilt one at a time, and the verdict must diverge.
    """
    with spoil(things):
        verdict = verdict_of(sides, step)
    accused = {
        f.name.removesuffix(" at padding")
        for f in verdict.findings
        if f.outcome is Outcome.DIVERGED
    }
    missed = []
    for thing, names in things.items():
        if accused.isdisjoint(names):
            with spoil({thing: names}):
                if verdict_of(sides, step).outcome is not Outcome.DIVERGED:
                    missed.append(thing)
    return missed


def in_files(directory, change):
    """Spoils stored arrays: `change(array, names)` gives what is stored instead."""

    @contextmanager
    def spoil(things):
        paths = {directory / file for file, _ in things}
        with kept(*paths):
            for path in paths:
                mine = {key: names for (file, key), names in things.items() if file == path.name}

                def replaced(arrays, mine=mine):
                    arrays.update({key: change(arrays[key], mine[key]) for key in mine})

                change_file(path, replaced)
            yield

    return spoil


def in_manifest(directory, change):
    """Spoils names by `change(directory, names)`, which writes a manifest whose seals hold."""

    @contextmanager
    def spoil(things):
        with kept(directory / "manifest.json"):
            change(directory, list(things))
            yield

    return spoil


def each(names):
    return {name: [name] for name in names}


def judged(directory):
    """All names but those that say where a fault is, and nothing that a free run does not judge."""
    forced = ("forced/", "masked/forced/")
    return [name for name in read(directory).names if not name.startswith(forced)]


@pytest.mark.parametrize("step", RECORDINGS)
def test_one_bad_element_in_any_stored_array_diverges(copies, step):
    directory = copies.candidate / step
    places = count(0, 7)

    def change(array, names):
        strictest = min(names, key=lambda name: name.startswith(("float32/", "drawn/")))
        return spoilt(step, strictest, array, next(places) % array.size)

    found = in_files(directory, change)
    assert unaccused(copies, step, stored(read(directory)), found) == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_one_nan_in_any_stored_array_of_floats_diverges(copies, step):
    directory = copies.candidate / step
    places = count(0, 5)

    def change(array, _names):
        wrong = array.copy()
        wrong.reshape(-1)[next(places) % array.size] = np.nan
        return wrong

    recording = read(directory)
    floats = {
        place: names
        for place, names in stored(recording).items()
        if recording.array(names[0]).dtype.kind == "f"
    }
    assert unaccused(copies, step, floats, in_files(directory, change)) == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_every_name_is_judged_though_its_content_is_stored_under_another(copies, step):
    directory = copies.candidate / step
    recording = read(directory)
    shared = [name for names in stored(recording).values() if len(names) > 1 for name in names]

    def change(directory, names):
        wrong = {}
        for number, name in enumerate(names):
            array = recording.array(name)
            wrong[name] = spoilt(step, name, array, number % array.size)
        add_arrays(directory, wrong)

    assert unaccused(copies, step, each(shared), in_manifest(directory, change)) == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_of_another_dtype_diverges(copies, step):
    directory = copies.candidate / step
    recording = read(directory)
    other = {"float32": "float64", "float64": "float32", "int64": "int32"}

    def change(directory, names):
        arrays = {n: recording.array(n) for n in names}
        add_arrays(directory, {n: a.astype(other[str(a.dtype)]) for n, a in arrays.items()})
        manifest = manifest_of(directory)
        for name in names:
            entry = manifest["arrays"][name]
            if "stands_for" in entry:  # what the side says it is
                entry["stands_for"]["dtype"] = entry["dtype"]
        write_manifest(directory, manifest, sealed=True)

    names = each(recording.names)
    assert unaccused(copies, step, names, in_manifest(directory, change)) == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_of_another_shape_diverges(copies, step):
    directory = copies.candidate / step
    recording = read(directory)

    def change(directory, names):
        add_arrays(directory, {name: recording.array(name)[None] for name in names})

    names = each(recording.names)
    assert unaccused(copies, step, names, in_manifest(directory, change)) == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_is_missing_in_its_file_is_named(copies, step):
    directory = copies.candidate / step
    missed = {}
    for (file, key), names in sample(stored(read(directory))):
        with kept(directory / file):
            change_file(directory / file, lambda arrays, key=key: arrays.pop(key))
            why = objection(verdict_of(copies, step), *names)
        if why:
            missed[key] = why
    assert missed == {}


@pytest.mark.parametrize("step", RECORDINGS)
def test_every_array_that_is_missing_in_its_file_is_refused_by_name(copies, step):
    directory = copies.candidate / step
    names = read(directory).names
    for path in directory.glob("*.safetensors"):
        change_file(path, dict.clear)
    for name in names:
        with pytest.raises(InputError, match=rf"safetensors: {re.escape(name)} cannot be read"):
            read(directory).array(name)


def delete_entries(directory, names):
    """Delete arrays from a manifest as an editor would: seals and counts stay."""
    manifest = manifest_of(directory)
    for name in names:
        del manifest["arrays"][name]
    write_manifest(directory, manifest)


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_is_deleted_from_the_manifest_diverges(copies, step):
    directory = copies.candidate / step
    names = each(judged(directory))
    assert unaccused(copies, step, names, in_manifest(directory, delete_entries)) == []


@every_place
def test_an_array_that_is_deleted_from_the_manifest_is_named(copies, side, name):
    directory, missed = getattr(copies, side) / name, {}
    for (_, key), names in sample(stored(read(directory)), limit=12):
        with kept(directory / "manifest.json"):
            delete_entries(directory, names)
            why = objection(verdict_of(copies, name), *names)
        if why:
            missed[key] = why
    assert missed == {}


@every_place
def test_an_array_that_is_deleted_from_the_manifest_alone_is_not_aligned(copies, side, name):
    directory, missed = getattr(copies, side) / name, {}
    for array, _ in sample(each(read(directory).names), limit=12):
        with kept(directory / "manifest.json"):
            delete_entries(directory, [array])
            why = objection(verdict_of(copies, name), "manifest field arrays")
        if why:
            missed[array] = why
    assert missed == {}


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_was_never_recorded_diverges(copies, step):
    directory = copies.candidate / step
    names = each(judged(directory))
    assert unaccused(copies, step, names, in_manifest(directory, leave_out)) == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_only_the_candidate_has_diverges(copies, step):
    directory = copies.candidate / step
    recording = read(directory)

    def change(directory, names):
        given = {name: recording.array(name.removesuffix("_more")) for name in names}
        add_arrays(directory, given)

    more = each(f"{name}_more" for name in judged(directory))
    assert unaccused(copies, step, more, in_manifest(directory, change)) == []


@every_place
def test_a_truncated_file_is_named(copies, side, name):
    [path] = (getattr(copies, side) / name).glob("*.safetensors")
    content, missed = path.read_bytes(), {}
    for length in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        with kept(path):
            replace(path, content[:length])
            why = objection(verdict_of(copies, name), path.name)
        if why:
            missed[length] = why
    assert missed == {}


@every_place
def test_a_changed_byte_anywhere_is_not_aligned(copies, side, name):
    [path] = (getattr(copies, side) / name).glob("*.safetensors")
    content, missed = path.read_bytes(), {}
    for place in range(0, len(content), len(content) // 7):
        wrong = bytearray(content)
        wrong[place] ^= 0x10
        with kept(path):
            replace(path, bytes(wrong))
            why = objection(verdict_of(copies, name), path.name)
        if why:
            missed[place] = why
    assert missed == {}


@every_place
def test_a_missing_file_is_named(copies, side, name):
    [path] = (getattr(copies, side) / name).glob("*.safetensors")
    path.unlink()
    assert objection(verdict_of(copies, name), path.name) == ""


@every_place
def test_a_truncated_manifest_is_named(copies, side, name):
    path = getattr(copies, side) / name / "manifest.json"
    content, missed = path.read_bytes(), {}
    for length in (0, 1, 50, len(content) // 2, len(content) - 2):
        with kept(path):
            replace(path, content[:length])
            why = objection(verdict_of(copies, name), f"{name}/manifest.json cannot be read")
        if why:
            missed[length] = why
    assert missed == {}


@every_place
def test_a_missing_manifest_is_named_with_its_side(copies, side, name):
    (getattr(copies, side) / name / "manifest.json").unlink()
    verdict = verdict_of(copies, name)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == f"{side} recording: {name}: there is no manifest.json"


def edited(value):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    return [*value, "x"] if isinstance(value, list) else {**value, "x": 1}


@every_place
def test_an_edited_field_of_a_manifest_is_named(copies, side, name):
    directory, missed = getattr(copies, side) / name, {}
    manifest = manifest_of(directory)
    for field, value in manifest.items():
        with kept(directory / "manifest.json"):
            write_manifest(directory, {**manifest, field: edited(value)})
            why = objection(verdict_of(copies, name), field)
        if why:
            missed[field] = why
    assert missed == {}


@every_side
@pytest.mark.parametrize("name", [START.NAME, "evaluation_data"])
@pytest.mark.parametrize("value", ["removed", None, "x", 7, [], {}, ["x"], {"x": None}], ids=repr)
def test_a_field_of_another_type_is_named(copies, side, name, value):
    directory, missed = getattr(copies, side) / name, {}
    manifest = manifest_of(directory)
    for field, before in manifest.items():
        wrong = {**manifest, field: value}
        if value == "removed":
            del wrong[field]
        if wrong.get(field) == before:
            continue  # it is empty anyway
        with kept(directory / "manifest.json"):
            write_manifest(directory, wrong)
            report = check(copies.reference, copies.candidate, steps=(2,))
        if report.outcome is Outcome.ALIGNED:
            missed[field] = "aligned"
        elif why := objection(report.verdicts[0], field):
            missed[field] = why
    assert missed == {}


@every_side
@pytest.mark.parametrize("field", ["file", "key", "dtype", "shape"])
@pytest.mark.parametrize("value", ["removed", None, "x", 7, []], ids=repr)
def test_an_entry_of_another_form_is_not_aligned(copies, side, field, value):
    directory = getattr(copies, side) / "evaluation_data"
    manifest = manifest_of(directory)
    entry = manifest["arrays"]["dev/0/ids"]
    entry[field] = value
    if value == "removed":
        del entry[field]
    write_manifest(directory, manifest)
    assert (
        objection(verdict_of(copies, "evaluation_data"), "dev/0/ids", "manifest field arrays") == ""
    )


def test_an_envelope_of_another_reference_is_refused(copies):
    directory = copies.reference / "envelope.2"
    manifest = manifest_of(directory)
    manifest["given"]["training"] = "0" * 16
    write_manifest(directory, manifest, sealed=True)
    verdict = verdict_of(copies, "envelope.2")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "given another recording of training" in verdict.reason


@pytest.fixture
def spare(recorded, tmp_path):
    """Recordings that may lose whole directories."""
    return recorded.copy(tmp_path)


def _without_nudged_runs(sides, *numbers):
    for number in numbers:
        shutil.rmtree(sides.reference / f"envelope.{number}")


def _curve_moved(sides, dtype, factor):
    name = f"{dtype}/training/loss"
    directory = sides.candidate / "training"
    loss = read(directory).array(name)
    add_arrays(directory, {name: loss * np.asarray(factor, loss.dtype)})


def test_fewer_nudged_runs_allow_less_and_are_enough_for_what_is_within(spare):
    _without_nudged_runs(spare, 2, 3, 4)
    verdict = verdict_of(spare, "training")
    assert verdict.outcome is Outcome.ALIGNED
    assert verdict.coverage["nudged runs"] == 1
    assert any("limits of 1 nudged run" in note for note in verdict.notes)


def test_what_more_nudged_runs_may_allow_is_open_until_they_are_recorded(spare):
    _curve_moved(spare, "float32", 1.01)
    assert verdict_of(spare, "training").outcome is Outcome.DIVERGED
    _without_nudged_runs(spare, 3, 4)
    verdict = verdict_of(spare, "training")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "without envelope.3, envelope.4 it is open" in verdict.reason


def test_what_no_nudged_run_can_allow_diverges_without_them(spare):
    _curve_moved(spare, "float64", 1.01)
    _without_nudged_runs(spare, 3, 4)
    assert verdict_of(spare, "training").outcome is Outcome.DIVERGED


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4), (1,), (2, 3)])
def test_a_nudged_run_that_others_follow_is_missing(spare, numbers):
    _without_nudged_runs(spare, *numbers)
    verdict = verdict_of(spare, "training")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert f"envelope.{numbers[0]}" in verdict.reason


def test_a_broken_seal_of_the_model_spoils_every_step(copies):
    [path] = (copies.candidate / START.NAME).glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    replace(path, bytes(content))
    report = check(copies.reference, copies.candidate)
    assert Outcome.ALIGNED not in {v.outcome for v in report.verdicts}


def test_a_difference_outweighs_a_broken_seal(copies):
    directory = copies.candidate / "evaluation_data"

    def spoil(arrays):
        arrays["dev/0/ids"][0, 0] += 1

    change_file(directory / "000.safetensors", spoil)
    verdict = verdict_of(copies, "evaluation_data")
    assert verdict.outcome is Outcome.DIVERGED
    assert verdict.reason.startswith("dev/0/ids: 1 of")


def test_the_toy_is_aligned_in_every_step(recorded):
    report = check(recorded.reference, recorded.candidate)
    assert {v.number: v.outcome for v in report.verdicts} == dict.fromkeys(
        ALL_STEPS, Outcome.ALIGNED
    )
    assert report.outcome is Outcome.ALIGNED


def test_judging_changes_no_file(recorded):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for directory in (recorded.reference, recorded.candidate)
            for path in directory.rglob("*")
            if path.is_file()
        }

    before = state()
    check(recorded.reference, recorded.candidate)
    assert state() == before


def test_no_step_is_not_aligned(recorded):
    assert check(recorded.reference, recorded.candidate, steps=()).outcome is Outcome.INCONCLUSIVE
    assert overall([]) is Outcome.INCONCLUSIVE
