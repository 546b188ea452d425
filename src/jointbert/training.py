"""A training from its options to a saved model, in either framework."""

import hashlib
import importlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jointbert import saved
from jointbert.checkpoint import Store, leaving_nothing, only_one, written_whole
from jointbert.embedded import is_embedded, write_model
from jointbert.inputs import FILES, WEIGHTS, check_checkpoint, check_data, check_length
from jointbert.labels import INTENT_FILE, SLOT_FILE, Labels, read_labels, read_lines
from jointbert.memory import keep_freed
from jointbert.options import INCIDENTAL, Options
from jointbert.parser import require
from jointbert.task import EMBEDDED, task_directory
from jointbert.workers import place
from modelparity import InputError, UsageError

STATE = "training"  # below the output directory: checkpoints, and data written for this training
RECORD = "training.json"  # what a finished training leaves behind
TINY = {"layers": 2, "hidden": 64, "heads": 4, "intermediate": 128}


@dataclass(frozen=True)
class Job:
    """What to train, where to, and how."""

    data: str
    checkpoint: str
    out: Path
    framework: str
    options: Options


@dataclass(frozen=True)
class Finished:
    """Scores of dev after each epoch; the best epoch's index; updates done."""

    evaluations: tuple[Mapping[str, float], ...]
    best: int
    updates: int


Update = Callable[[int, int, float], None]
Epoch = Callable[[int, Mapping[str, float], bool], None]


def train(job: Job, *, resume: bool, on_update: Update, on_epoch: Epoch) -> Finished:
    """Train, save the best epoch's model into `job.out` and return the scores.

    With `resume` goes on from the checkpoint that is there; without one it begins. Raises
    UsageError and InputError for what cannot be used; then nothing new is left behind. An update
    whose loss is no number ends it with an InputError: every parameter is lost from there on.
    """
    require(job.framework)
    rank, size = place(job.framework)
    if size != job.options.processes:
        raise UsageError(f"processes: {job.options.processes}, but {size} were started")
    if rank:
        return _help(job, rank)
    _check_place(job.out, resume)
    with leaving_nothing(job.out), only_one(job.out):
        (job.out / STATE).mkdir(exist_ok=True)  # the sign that a training has begun here
        settings = prepare(job)
        identity = _identity(job, settings)
        done = _finished(job.out / RECORD, identity) if resume else None
        if done is not None:
            _meet(job, 0, None)
            return done
        store = Store(job.out / STATE, identity, job.options.save_steps)
        ranks, _ = _meet(job, 0, {"settings": settings, "identity": identity})
        side = importlib.import_module(f"jointbert.in_{job.framework}.train")
        network = importlib.import_module(f"jointbert.in_{job.framework}.model")
        labels = read_labels(settings["data"])
        listener = side.Listener(
            _only_finite(on_update),
            on_epoch,
            lambda m: saved.write(job.out, network.to_arrays(m), settings, labels),
        )
        trained = side.fit(settings, listener, store, ranks)
        # Once more: a kill between an epoch's end and its checkpoint may have left another epoch's.
        saved.write(job.out, network.to_arrays(trained.model), settings, labels)
        result = Finished(trained.evaluations, trained.best, len(trained.losses))
        _finish(job, result, trained.losses, store)
    return result


def _only_finite(on_update: Update) -> Update:
    def checked(done: int, total: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise InputError(
                f"update {done}: the loss is {loss}; lower learning_rate, and begin anew"
            )
        on_update(done, total, loss)

    return checked


def _help(job: Job, rank: int) -> Finished:
    """What a process other than the first does: train its share with it, and write nothing."""
    ranks, told = _meet(job, rank, None)
    if told is None:
        return Finished((), -1, 0)  # there was nothing to do
    side = importlib.import_module(f"jointbert.in_{job.framework}.train")
    store = Store(job.out / STATE, told["identity"], job.options.save_steps)
    trained = side.fit(told["settings"], store=store, ranks=ranks)
    return Finished(trained.evaluations, trained.best, len(trained.losses))


def _meet(job: Job, rank: int, word: Any) -> tuple[Any, Any]:
    """This process's place among the others, and the first one's word."""
    together = importlib.import_module(f"jointbert.in_{job.framework}.together")
    ranks = together.join(rank, job.options.processes)
    if rank == 0:
        _start(job)
    told = together.told(ranks, word)
    if rank:
        _start(job)  # behind the first, which alone says what is wrong
    return ranks, told


def _start(job: Job) -> None:
    predict = importlib.import_module(f"jointbert.in_{job.framework}.predict")
    share = max(1, (os.cpu_count() or 1) // job.options.processes)
    predict.start({**asdict(job.options), "threads": job.options.threads or share})
    keep_freed()


def prepare(job: Job) -> dict[str, Any]:
    """The settings of a side, once everything cheap about the inputs is checked."""
    options = job.options
    data = task_directory(job.data, job.out / STATE / "task", "train")
    checkpoint = _checkpoint(job)
    labels = check_data(data, ("train", "dev"))
    embedded = is_embedded(checkpoint)
    config = check_checkpoint(checkpoint, weights=not embedded)
    check_length(checkpoint, config, options.max_seq_len)
    return {
        **asdict(options),
        "data": str(data),
        "checkpoint": str(checkpoint),
        "pretrained": not embedded,
        "attention": "eager",
        **_weights(data, labels, options),
    }


def _checkpoint(job: Job) -> Path:
    if job.checkpoint == EMBEDDED and not Path(EMBEDDED).is_dir():
        checkpoint = job.out / STATE / "model"
        write_model(checkpoint, {**TINY, "max_seq_len": job.options.max_seq_len})
        return checkpoint
    return saved.locate(job.checkpoint)


def _weights(data: Path, labels: Labels, options: Options) -> dict[str, tuple[float, ...]]:
    """Of each label its inverse frequency in training, 1 on average over the occurrences."""
    found: dict[str, tuple[float, ...]] = {}
    if options.class_weights in ("intents", "both"):
        lines = read_lines(data / "train" / "label")
        found["intent_weights"] = _balanced(Counter(x.strip() for x in lines), labels.intents)
    if options.class_weights in ("slots", "both"):
        tags = [tag for line in read_lines(data / "train" / "seq.out") for tag in line.split()]
        found["slot_weights"] = _balanced(Counter(tags), labels.slots)
    return found


def _balanced(counts: Counter[str], labels: Sequence[str]) -> tuple[float, ...]:
    present = sum(1 for label in labels if counts[label])
    total = sum(counts[label] for label in labels)
    return tuple(total / (present * counts[x]) if counts[x] else 1.0 for x in labels)


def _identity(job: Job, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What must not change between the parts of a training that was interrupted."""
    options = {k: v for k, v in asdict(job.options).items() if k not in INCIDENTAL}
    data, checkpoint = Path(settings["data"]), Path(settings["checkpoint"])
    files = [data / split / name for split in ("train", "dev") for name in FILES]
    files += [path for n in (INTENT_FILE, SLOT_FILE) if (path := data / n).exists()]
    model = [checkpoint / name for name in (saved.CONFIG, "vocab.txt", WEIGHTS)]
    return {
        **options,
        "framework": job.framework,
        "data": _digest(files),
        "checkpoint": _digest([path for path in model if path.exists()]),
    }


def _digest(files: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                whole.update(part)
    return whole.hexdigest()[:16]


def _check_place(out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: a file; name a directory")
    if not resume and any((out / STATE).glob("*.safetensors")):
        raise UsageError(
            f"--out {out}: holds an interrupted training; add --resume, or choose another"
        )
    begun = resume and ((out / STATE).exists() or (out / RECORD).exists())
    if (out / saved.CONFIG).exists() and not begun:
        raise UsageError(f"--out {out}: holds a model already; choose another")


def _finished(path: Path, identity: Mapping[str, Any]) -> Finished | None:
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        before = {**record["options"], "framework": record["framework"], **record.get("inputs", {})}
        for name in identity:
            if name in before and before[name] != identity[name]:
                raise UsageError(
                    f"--resume: {name} was {before[name]!r} and is now {identity[name]!r}, but the"
                    f" training in {path.parent} is finished; choose another --out"
                )
        return Finished(tuple(record["evaluations"]), record["best"], record["updates"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it") from None


def _finish(job: Job, result: Finished, losses: Sequence[float], store: Store) -> None:
    options = {one.name: getattr(job.options, one.name) for one in fields(Options)}
    record = {
        "release": saved.release(),
        "framework": job.framework,
        "options": options,
        "inputs": {name: store.identity[name] for name in ("data", "checkpoint")},
        "updates": result.updates,
        "best": result.best,
        "evaluations": list(result.evaluations),
        "losses": list(losses),
    }
    with written_whole(job.out / RECORD) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for checkpoint in store.files():
        checkpoint.unlink(missing_ok=True)
