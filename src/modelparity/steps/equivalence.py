"""Step 10's second part: independent trainings of both sides over seeds, each a recording."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.errors import ParityError
from modelparity.judge.equivalence import ALPHA
from modelparity.model import Finding, Outcome
from modelparity.recording import Recording, broken_seals, digest, read
from modelparity.steps import start
from modelparity.steps.epoch import trained_under
from modelparity.steps.recorder import Array, Batch, MissingFunction, NotGiven, Recorder

NAME = "seeds"  # the directory, in that of a side, that holds a recording a seed
SETTING = "seeds"  # the case's setting that says how many: none where it is absent or 0


def record(recorder: Recorder) -> None:
    """Train as the settings say, in float32, with the side's own data and its own dropout.

    The settings' `seed` orders the batches; dropout is drawn from another one on each side. All
    trainings start from the reference's initial weights.
    """
    settings = trained_under(recorder)
    seed, epochs = int(settings.get("seed", 0)), int(settings.get("epochs", 1))
    model = recorder.build(settings, recorder.initial_weights(), "float32", training=True)
    recorder.adapter.seed(_own(seed, recorder.role))
    order = hashlib.sha256()
    curve: list[float] = []
    for loss in _losses(recorder, model, epochs, order):
        curve.append(loss)
    recorder.writer.add("loss", np.array(curve))
    recorder.writer.add("order", np.frombuffer(order.digest(), np.uint8))
    recorder.adapter.train(model, False)
    for split in recorder.case.splits:
        for name, value in recorder.call("evaluate", model, settings, split).items():
            array = np.asarray(value)
            if not array.ndim or array.dtype.kind in "iub":  # scores and decisions
                recorder.writer.add(f"score/{split}/{name}", array)


def weights(reference: Path) -> str:
    """What identifies the weights that all trainings start from. NotGiven where there are none."""
    try:
        manifest = read(reference / start.NAME).manifest
    except ParityError as error:
        raise NotGiven(f"the reference's recording {error}") from None
    return digest([manifest.get("arrays"), manifest.get("files")])


def _own(seed: int, role: str) -> int:
    """A seed for dropout that no other side or order has."""
    return int.from_bytes(hashlib.sha256(f"{seed} {role}".encode()).digest()[:4], "little") >> 1


def _losses(recorder: Recorder, model: Any, epochs: int, order: Any) -> Iterator[float]:
    settings = trained_under(recorder)
    count = sum(1 for _ in recorder.call("training_batches", settings, 0))
    if not count:
        raise MissingFunction("training_batches() yields nothing")
    optimizer, schedule = recorder.call("build_optimizer", model, settings, count * epochs)
    done = 0
    for epoch in range(epochs):
        for batch in recorder.call("training_batches", settings, epoch):
            order.update(_content(batch))
            yield recorder.loss_and_gradients(model, batch, "float32")
            recorder.call("update", model, optimizer, schedule, settings)
            done += 1
            recorder.progress(f"seed {settings['seed']}", done, count * epochs)


def _content(batch: Batch) -> bytes:
    parts = [f"{n} {a.dtype} {a.shape}".encode() + a.tobytes() for n, a in sorted(_arrays(batch))]
    return b"".join(parts)


def _arrays(batch: Batch) -> list[tuple[str, Array]]:
    return [(name, np.ascontiguousarray(value)) for name, value in batch.items()]


def found(
    reference: Path, candidate: Path, manifest: Mapping[str, Any]
) -> tuple[tuple[tuple[Recording, Recording], ...], tuple[Finding, ...]]:
    """(candidate's, reference's) of every seed that the settings ask for; why one is missing.

    manifest  of the reference's recording of step 10, which the trainings belong to
    """
    settings = manifest.get("settings")
    count = settings.get(SETTING, 0) if isinstance(settings, dict) else 0
    pairs, doubts = [], []
    for number in range(1, (count if isinstance(count, int) else 0) + 1):
        sides = []
        for role, directory in (("candidate", candidate), ("reference", reference)):
            doubt = ""
            try:
                sides.append(read(directory / NAME / f"{number:04d}"))
                doubt = _unusable(sides[-1], role, number, manifest, weights(reference))
            except (ParityError, NotGiven) as error:
                doubt = str(error)
            if doubt:
                doubts.append(judge.inconclusive(f"{role} seed {number}", doubt))
        both = [set(side.manifest.get("functions", ())) for side in sides]
        if len(both) == 2 and both[0] & both[1]:
            names = ", ".join(sorted(both[0] & both[1])[:3])
            text = f"shared code: both sides run {names}"
            doubts.append(judge.inconclusive(f"seed {number}", text))
        if len(sides) == 2:
            pairs.append((sides[0], sides[1]))
    return (() if doubts else tuple(pairs)), tuple(doubts)


def _unusable(
    side: Recording, role: str, number: int, manifest: Mapping[str, Any], start_from: str
) -> str:
    """Why a training is not one of this run's; "" where it is."""
    own = side.manifest
    if own.get("complete") is not True:
        return str(own.get("problem") or "the recording is incomplete")
    broken = broken_seals(side)
    if broken:
        return f"{broken[0]}: it is not as it was when the recording was finished"
    expected = {k: v for k, v in manifest["settings"].items() if k != SETTING}
    expected["seed"] = int(expected.get("seed", 0)) + number
    wanted: dict[str, object] = {"side": role, "settings": expected, "weights": start_from}
    wanted |= {key: manifest.get(key) for key in ("case", "inputs", "terms")}
    other = [key for key, value in wanted.items() if own.get(key) != value]
    return f"manifest field {other[0]} is not that of this run; record it again" if other else ""


BLOCKS = 4  # of a training's losses: each one's mean is compared
Pairs = Sequence[tuple[Recording, Recording]]  # (candidate's, reference's) a seed


def compared(pairs: Pairs) -> tuple[list[Finding], dict[str, dict[str, float]]]:
    """Findings over all seeds, and per quantity what they rest on."""
    if not pairs:
        return [], {}
    findings = _alike(pairs)
    if findings or len(pairs) < 2:
        few = [] if findings else [judge.inconclusive("seeds", "one seed shows no spread")]
        return [*findings, *few], {}
    values = {name: (_values(pairs, name, 0), _values(pairs, name, 1)) for name in _scalars(pairs)}
    right = {name: (_right(pairs, name, 0), _right(pairs, name, 1)) for name in _items(pairs)}
    level = ALPHA / max(1, len(values) + len(right))
    intervals = {name: judge.interval(*both) for name, both in values.items()}
    findings = [
        judge.equivalent(f"{NAME}/{name}", found, level) for name, found in intervals.items()
    ]
    findings += [judge.rightness(f"{NAME}/{name}", *both, level) for name, both in right.items()]
    return findings, {name: asdict(found) for name, found in intervals.items()}


def _alike(pairs: Pairs) -> list[Finding]:
    """What makes trainings incomparable: another order of the data, missing or other arrays."""
    findings = []
    for number, (c, r) in enumerate(pairs, 1):
        place = f"{NAME}/{number}"
        findings += [judge.missing(f"{place}/{n}", "candidate") for n in r.names if n not in c]
        findings += [judge.missing(f"{place}/{n}", "reference") for n in c.names if n not in r]
        for name in (n for n in r.names if n in c):
            if c.entry(name)["shape"] != r.entry(name)["shape"]:
                both = f"{c.entry(name)['shape']} against {r.entry(name)['shape']}"
                text = f"shape {both}"
                findings.append(_diverged(f"{place}/{name}", text))
            elif name == "order" and not np.array_equal(c.array(name), r.array(name)):
                text = "the candidate's batches are others, or come in another order: see step 8"
                findings.append(_diverged(f"{place}/{name}", text))
            elif not np.isfinite(r.array(name)).all():
                text = "the reference's is NaN or infinite"
                findings.append(judge.inconclusive(f"{place}/{name}", text))
            elif not np.isfinite(c.array(name)).all():
                findings.append(_diverged(f"{place}/{name}", "NaN or infinite"))
    return findings


def _diverged(name: str, message: str) -> Finding:
    return Finding(name, "equivalence", Outcome.DIVERGED, message, ratio=np.inf)


def _scalars(pairs: Pairs) -> list[str]:
    first = pairs[0][1]
    scores = [n for n in first.names if n.startswith("score/") and not first.entry(n)["shape"]]
    return [f"loss, part {number + 1} of {BLOCKS}" for number in range(BLOCKS)] + scores


def _values(pairs: Pairs, name: str, side: int) -> Array:
    """One number a seed: a score, or the mean of a part of the losses."""
    if not name.startswith("loss, part "):
        return np.array([float(pair[side].array(name)) for pair in pairs])
    number = int(name.split()[2]) - 1
    return np.array(
        [float(np.array_split(p[side].array("loss"), BLOCKS)[number].mean()) for p in pairs]
    )


def _items(pairs: Pairs) -> list[str]:
    """Decisions that are not the truth itself, such as `intent_labels` of `intent_predictions`."""
    first = pairs[0][1]
    found = [n for n in first.names if n.startswith("score/") and first.entry(n)["shape"]]
    return [n for n in found if _truth(first, n) or not n.endswith("_labels")]


def _truth(side: Recording, name: str) -> str:
    """The array that decisions are scored against, where the side gives it."""
    other = name.removesuffix("_predictions") + "_labels"
    alike = (
        other != name and other in side and side.entry(other)["shape"] == side.entry(name)["shape"]
    )
    return other if alike else ""


def _right(pairs: Pairs, name: str, side: int) -> Array:
    """(seeds, items): right by the truth, or where there is none as most runs of both sides say."""
    decisions = np.stack([pair[side].array(name).reshape(-1) for pair in pairs])
    truth = _truth(pairs[0][1], name)
    if truth:
        right: Array = decisions == pairs[0][1].array(truth).reshape(-1)
        return right
    everyone = np.concatenate([[p[s].array(name).reshape(-1) for p in pairs] for s in (0, 1)])
    most = [values[np.argmax(counts)] for values, counts in map(_counted, everyone.T)]
    agreed: Array = decisions == np.array(most)
    return agreed


def _counted(column: Array) -> tuple[Array, Array]:
    values, counts = np.unique(column, return_counts=True)
    return values, counts


def summed_up(intervals: Mapping[str, Mapping[str, float]], seeds: int) -> tuple[str, ...]:
    """The narrowest words for all intervals: how much of their margins they take."""
    if not intervals:
        return ()
    shares = {
        n: max(abs(i["low"]), abs(i["high"])) / i["margin"]
        for n, i in intervals.items()
        if i["margin"]
    }
    worst = max(shares, key=shares.__getitem__, default="")
    return (
        f"{seeds} independent trainings a side: {len(intervals)} differences of means, the widest "
        f"90% confidence interval reaches {shares.get(worst, 0.0):.2f} of its margin ({worst}); a "
        "margin is the standard deviation between two of the reference's own seeds",
    )
