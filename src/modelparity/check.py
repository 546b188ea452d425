"""Two sets of recordings -> Report. Imports no framework and no case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from modelparity import judge
from modelparity.errors import InputError
from modelparity.model import Finding, Outcome, Report, Rule, Verdict
from modelparity.recording import Recording, broken_seals, read
from modelparity.steps import BESIDE, LEANS_ON, OVER_SEEDS, START, STEPS
from modelparity.steps.evidence import Evidence

ALL_STEPS = tuple(step.NUMBER for step in STEPS)
# Manifest fields that both sides must share, or the recordings do not belong together.
SHARED_FIELDS = ("case", "settings", "inputs", "terms")


def check(
    reference: Path, candidate: Path, *, steps: tuple[int, ...] = ALL_STEPS, fault: str = ""
) -> Report:
    """Judge the requested steps. InputError where a directory is missing altogether."""
    for directory in (reference, candidate):
        if not directory.is_dir():
            raise InputError(f"{directory}: there is no such directory of recordings")
        if not any(directory.glob("*/manifest.json")):
            raise InputError(f"{directory}: there are no recordings in it")
    models = _pair(reference, candidate, START)
    verdicts: list[Verdict] = []
    for step in STEPS:
        if step.NUMBER in steps:
            verdicts.append(_with_origin(_judge(reference, candidate, step, models), verdicts))
    sides = {
        "reference": _read(reference, START.NAME),
        "candidate": _read(candidate, START.NAME),
    }
    manifests = {side: r.manifest if isinstance(r, Recording) else {} for side, r in sides.items()}
    presentation = _mapping(manifests["reference"].get("presentation"))
    return Report(
        case=str(manifests["reference"].get("case", "")),
        outcome=overall(verdicts),
        verdicts=tuple(verdicts),
        manifests={side: _summary(manifest) for side, manifest in manifests.items()},
        settings=_mapping(manifests["reference"].get("settings")),
        aliases=_per_step(presentation.get("aliases"), dict),
        published=_per_step(presentation.get("published"), dict | str),
        fault=fault,
    )


def _mapping(value: object) -> dict[str, Any]:
    """What a report shows of a manifest; what was edited into something else is left out."""
    return value if isinstance(value, dict) else {}


def _per_step(labels: object, kind: Any) -> dict[int, Any]:
    """Labels by step's number. They only name what was judged: what does not fit is left out."""
    return {int(k): v for k, v in _mapping(labels).items() if k.isdecimal() and isinstance(v, kind)}


def overall(verdicts: list[Verdict]) -> Outcome:
    """Any diverged, else any inconclusive (or nothing judged), else aligned."""
    outcomes = {verdict.outcome for verdict in verdicts}
    for outcome in (Outcome.DIVERGED, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return Outcome.ALIGNED if outcomes else Outcome.INCONCLUSIVE


def _summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("written_by", "environment", "inputs", "settings", "format")
    return {key: manifest[key] for key in kept if key in manifest}


def _read(directory: Path, name: str) -> Recording | str:
    try:
        return read(directory / name)
    except InputError as error:
        return str(error)


@dataclass(frozen=True)
class _Pair:
    """What there is of a step on both sides.

    findings  why it cannot be judged, if so; broken  what was changed after it was finished
    unrecorded  what may be there and is not
    """

    recordings: tuple[Recording, ...]
    findings: tuple[Finding, ...]
    broken: tuple[Finding, ...]
    unrecorded: tuple[str, ...] = ()


def _pair(reference: Path, candidate: Path, step: ModuleType) -> _Pair:
    findings, recordings = [], []
    for side, directory in (("reference", reference), ("candidate", candidate)):
        recording = _read(directory, step.NAME)
        if isinstance(recording, str):
            findings.append(judge.inconclusive(f"{side} recording", recording))
        else:
            recordings.append(recording)
    if not findings:
        findings = _disagreements(recordings[0], recordings[1], reference, step)
    return _Pair(tuple(recordings), tuple(findings), tuple(_broken(recordings)))


def _disagreements(
    ours: Recording, theirs: Recording, reference: Path, step: ModuleType
) -> list[Finding]:
    findings = []
    for side, recording in (("reference", ours), ("candidate", theirs)):
        manifest = recording.manifest
        if manifest.get("side") != side:
            text = f"it is a recording of the {manifest.get('side')} side"
            findings.append(judge.inconclusive(f"{side} manifest field side", text))
        if manifest.get("step") != step.NAME:
            text = f"it is a recording of step {manifest.get('step')}"
            findings.append(judge.inconclusive(f"{side} manifest field step", text))
        if manifest.get("complete") is not True:
            text = str(manifest.get("problem") or "the recording is incomplete")
            findings.append(judge.inconclusive("", text))
    for name in SHARED_FIELDS:
        findings += _unequal(name, ours.manifest.get(name), theirs.manifest.get(name))
    findings += _given(reference, theirs, "candidate", "the candidate was")
    ran = [side.manifest.get("functions") for side in (ours, theirs)]
    shared = set.intersection(*(set(names) if isinstance(names, list) else set() for names in ran))
    if shared:
        names = ", ".join(sorted((n.rpartition(":")[0] for n in shared), key=_unnamed)[:3])
        text = f"shared code: both sides run {names}, so equal results prove nothing about it"
        hint = "give each side its own, or list the module under the case's `shared`"
        findings.append(judge.inconclusive("", text, hint))
    return findings


def _given(reference: Path, recording: Recording, place: str, who: str) -> list[Finding]:
    """What it was given must be what lies in the reference's directory."""
    given, findings = recording.manifest.get("given"), []
    for name, identity in (given if isinstance(given, dict) else {}).items():
        source = _read_named(reference, name)
        if source is None or source.identity() != identity:
            text = f"{who} given another recording of {name} than this reference's"
            findings.append(judge.inconclusive(f"{place} manifest field given.{name}", text))
    return findings


def _unnamed(function: str) -> tuple[bool, str]:
    """Sorts comprehensions and lambdas behind what has a name."""
    return "<" in function, function


def _read_named(directory: Path, name: str) -> Recording | None:
    try:
        return read(directory / Path(name).name)
    except InputError:
        return None


def _unequal(name: str, ours: object, theirs: object) -> list[Finding]:
    if ours == theirs and ours is not None:
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [k for k in dict.fromkeys([*ours, *theirs]) if ours.get(k) != theirs.get(k)]
        return [
            judge.inconclusive(
                f"manifest field {name}.{key}",
                f"{theirs.get(key)} on the candidate, {ours.get(key)} on the reference",
                "record both sides from the same case, settings and inputs",
            )
            for key in keys
        ]
    text = f"{theirs} on the candidate, {ours} on the reference"
    return [judge.inconclusive(f"manifest field {name}", text)]


def _judge(reference: Path, candidate: Path, step: ModuleType, models: _Pair) -> Verdict:
    pair = _pair(reference, candidate, step)
    broken = [*pair.broken, *models.broken]
    beside = _beside(reference, step)
    broken += beside.broken
    missing = [*models.findings, *pair.findings, *beside.findings]
    if missing:
        return judge.conclude(step.NUMBER, step.TITLE, [*broken, *missing])
    (ours, theirs), (our_model, their_model) = pair.recordings, models.recordings
    try:
        evidence = Evidence(ours, theirs, our_model, their_model, *_terms(ours))
        evidence = replace(evidence, beside=beside.recordings, unrecorded=beside.unrecorded)
        if step.NUMBER in OVER_SEEDS:
            pairs, doubts = OVER_SEEDS[step.NUMBER].found(reference, candidate, ours.manifest)
            evidence = replace(evidence, trainings=pairs, untrained=doubts)
        verdict: Verdict = step.judge_step(evidence)
    except InputError as error:
        verdict = judge.conclude(step.NUMBER, step.TITLE, [judge.inconclusive("", str(error))])
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        text = f"the recordings do not fit together: {type(error).__name__}: {error}"
        unfit = [*broken, judge.inconclusive("", text)]
        return judge.conclude(step.NUMBER, step.TITLE, unfit)
    return _sealed(verdict, broken)


def _beside(reference: Path, step: ModuleType) -> _Pair:
    """What the reference alone recorded for a step; nothing for most steps.

    It has more of it only where those before do not decide: the first, and all up to the last.
    """
    main = _read(reference, step.NAME)
    if isinstance(main, str):
        return _Pair((), (), ())
    recordings, findings = list[Recording](), list[Finding]()
    names = [part.NAME for part in BESIDE.get(step.NUMBER, ())]
    count = max((n for n, name in enumerate(names, 1) if (reference / name).exists()), default=1)
    for name in names[:count]:
        found = _read(reference, name)
        if isinstance(found, str):
            findings.append(judge.inconclusive("reference recording", found))
        else:
            recordings.append(found)
            findings += _unlike(main, found, name)
            findings += _given(reference, found, f"reference {name},", "it was")
    broken = tuple(_broken(recordings))
    return _Pair(tuple(recordings), tuple(findings), broken, tuple(names[count:]))


def _unlike(main: Recording, found: Recording, name: str) -> list[Finding]:
    """Why a recording is not what was to be recorded beside a step's, under this name."""
    findings = []
    if found.manifest.get("step") != name:
        text = f"it is a recording of step {found.manifest.get('step')}"
        findings.append(judge.inconclusive(f"reference {name}, manifest field step", text))
    if found.manifest.get("complete") is not True:
        text = str(found.manifest.get("problem") or "the recording is incomplete")
        findings.append(judge.inconclusive(f"reference {name}", text))
    for key in ("side", "rounding", *SHARED_FIELDS):
        if found.manifest.get(key) != main.manifest.get(key):
            text = f"it is not that of the recording of {main.directory.name}"
            findings.append(judge.inconclusive(f"reference {name}, manifest field {key}", text))
    return findings


def _broken(recordings: Sequence[Recording]) -> list[Finding]:
    """Whatever is not as it was when its recording was finished."""
    findings = []
    for r in recordings:
        place = f"{r.manifest.get('side')} {r.directory.name}"
        findings += [
            judge.inconclusive(
                f"{place}, {what}",
                "it is not as it was when the recording was finished",
                "record this side again",
            )
            for what in broken_seals(r)
        ]
        arrays, count = r.manifest.get("arrays"), r.manifest.get("count")
        if not isinstance(arrays, dict) or len(arrays) != count:
            listed = f"{len(arrays)} are" if isinstance(arrays, dict) else "no arrays are"
            text = f"{count} arrays were recorded, but {listed} listed"
            findings.append(judge.inconclusive(f"{place}, manifest field count", text))
    return findings


def _sealed(verdict: Verdict, broken: Sequence[Finding]) -> Verdict:
    """An aligned verdict stands only on recordings that are as they were finished."""
    if not broken:
        return verdict
    findings = (*verdict.findings, *broken)
    if verdict.outcome is not Outcome.ALIGNED:
        return replace(verdict, findings=findings)
    reason = f"{broken[0].name}: {broken[0].message}"
    return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=reason, findings=findings)


def _terms(recording: Recording) -> tuple[tuple[Rule, ...], str]:
    terms = recording.manifest["terms"]

    def names(value: str | list[str]) -> str | tuple[str, ...]:
        return value if isinstance(value, str) else tuple(value)

    rules = tuple(
        Rule(names(r["reference"]), names(r["candidate"]), r["transpose"], r["axis"])
        for r in terms["rules"]
    )
    return rules, str(terms["mask"])


def _with_origin(verdict: Verdict, before: list[Verdict]) -> Verdict:
    """Say which earlier red step this one may follow from."""
    if verdict.outcome is not Outcome.DIVERGED:
        return verdict
    red = {v.number for v in before if v.outcome is Outcome.DIVERGED}
    origins = [n for n in LEANS_ON.get(verdict.number, ()) if n in red]
    if not origins:
        return verdict
    note = f"may follow from step {origins[0]}: mend that first"
    return replace(verdict, notes=(note, *verdict.notes))
