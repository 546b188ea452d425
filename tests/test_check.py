"""The judging half against spoilt recordings: whatever is wrong with them, they are not aligned."""

import numpy as np
import pytest
from toy.recorded import (
    add_array,
    change_file,
    kept,
    leave_out,
    manifest_of,
    replace,
    write_manifest,
)

from modelparity import Outcome, check
from modelparity.check import ALL_STEPS, overall
from modelparity.recording import read
from modelparity.steps import START, STEPS

NAMES = {step.NAME: step.NUMBER for step in STEPS}
RECORDINGS = (START.NAME, *NAMES)
SIDES = ("reference", "candidate")
every_recording = pytest.mark.parametrize("name", RECORDINGS)
every_side = pytest.mark.parametrize("side", SIDES)


def verdict_of(sides, name):
    """The verdict of a step; the models' recording is judged by the first."""
    number = NAMES.get(name, 1)
    return check(sides.reference, sides.candidate, steps=(number,)).verdicts[0]


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
        flat *= 2.0  # no single element makes another distribution
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


@pytest.mark.parametrize("step", RECORDINGS)
def test_one_bad_element_in_any_stored_array_diverges(copies, step):
    directory = copies.candidate / step
    missed = []
    for number, ((file, key), names) in enumerate(stored(read(directory)).items()):
        path = directory / file

        def spoil(arrays, key=key, names=names, number=number):
            strictest = min(names, key=lambda name: name.startswith(("float32/", "drawn/")))
            place = number * 7 % arrays[key].size
            arrays[key] = spoilt(step, strictest, arrays[key], place)

        with kept(path):
            change_file(path, spoil)
            if verdict_of(copies, step).outcome is not Outcome.DIVERGED:
                missed.append(key)
    assert missed == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_one_nan_in_any_stored_array_of_floats_diverges(copies, step):
    directory = copies.candidate / step
    missed = []
    for number, (file, key) in enumerate(stored(read(directory))):
        path, array = directory / file, read(directory).array(key)
        if array.dtype.kind != "f":
            continue

        def spoil(arrays, key=key, number=number):
            arrays[key].reshape(-1)[number * 5 % arrays[key].size] = np.nan

        with kept(path):
            change_file(path, spoil)
            if verdict_of(copies, step).outcome is not Outcome.DIVERGED:
                missed.append(key)
    assert missed == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_every_name_is_judged_though_its_content_is_stored_under_another(copies, step):
    directory = copies.candidate / step
    recording = read(directory)
    shared = [name for names in stored(recording).values() if len(names) > 1 for name in names]
    missed = []
    for number, name in enumerate(shared):
        array = recording.array(name)
        wrong = spoilt(step, name, array, number % array.size)
        with kept(directory / "manifest.json"):
            add_array(directory, name, wrong)
            if verdict_of(copies, step).outcome is not Outcome.DIVERGED:
                missed.append(name)
    assert missed == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_of_another_dtype_diverges(copies, step):
    directory = copies.candidate / step
    recording = read(directory)
    other = {"float32": "float64", "float64": "float32", "int64": "int32"}
    missed = []
    for name in recording.names:
        array = recording.array(name)
        entry = manifest_of(directory)["arrays"][name]
        with kept(directory / "manifest.json"):
            add_array(directory, name, array.astype(other[str(array.dtype)]))
            if "stands_for" in entry:  # what the side says it is
                manifest = manifest_of(directory)
                manifest["arrays"][name]["stands_for"]["dtype"] = other[str(array.dtype)]
                write_manifest(directory, manifest, sealed=True)
            if verdict_of(copies, step).outcome is not Outcome.DIVERGED:
                missed.append(name)
    assert missed == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_of_another_shape_is_not_aligned(copies, step):
    directory = copies.candidate / step
    recording = read(directory)
    missed = []
    for name in recording.names:
        array = recording.array(name)
        with kept(directory / "manifest.json"):
            add_array(directory, name, array[None])
            if verdict_of(copies, step).outcome is Outcome.ALIGNED:
                missed.append(name)
    assert missed == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_is_missing_in_its_file_is_named(copies, step):
    directory = copies.candidate / step
    missed = {}
    for (file, key), names in stored(read(directory)).items():
        with kept(directory / file):
            change_file(directory / file, lambda arrays, key=key: arrays.pop(key))
            why = objection(verdict_of(copies, step), *names)
        if why:
            missed[key] = why
    assert missed == {}


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_is_missing_in_the_manifest_is_not_aligned(copies, step):
    directory = copies.candidate / step
    missed = {}
    for name in read(directory).names:
        with kept(directory / "manifest.json"):
            manifest = manifest_of(directory)
            del manifest["arrays"][name]
            write_manifest(directory, manifest)
            why = objection(verdict_of(copies, step), "candidate manifest field arrays")
        if why:
            missed[name] = why
    assert missed == {}


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_was_never_recorded_diverges(copies, step):
    directory = copies.candidate / step
    missed = []
    for name in read(directory).names:
        if name.startswith("forced/"):
            continue  # they say where, and nothing that a free run does not judge
        with kept(directory / "manifest.json"):
            leave_out(directory, name)
            if verdict_of(copies, step).outcome is not Outcome.DIVERGED:
                missed.append(name)
    assert missed == []


@pytest.mark.parametrize("step", RECORDINGS)
def test_an_array_that_only_the_candidate_has_diverges(copies, step):
    directory = copies.candidate / step
    recording = read(directory)
    missed = []
    for name in recording.names:
        if name.startswith("forced/"):
            continue
        with kept(directory / "manifest.json"):
            add_array(directory, f"{name}_more", recording.array(name))
            if verdict_of(copies, step).outcome is not Outcome.DIVERGED:
                missed.append(name)
    assert missed == []


@every_side
@every_recording
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


@every_side
@every_recording
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


@every_side
@every_recording
def test_a_missing_file_is_named(copies, side, name):
    [path] = (getattr(copies, side) / name).glob("*.safetensors")
    path.unlink()
    assert objection(verdict_of(copies, name), path.name) == ""


@every_side
@every_recording
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


@every_side
@every_recording
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


@every_side
@every_recording
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
    assert objection(verdict_of(copies, "evaluation_data"), "dev/0/ids", "manifest field arrays") == ""


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
