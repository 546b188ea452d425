"""The training loop, made of the same functions that the ladder judges."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import paddle
from paddle.optimizer.lr import LambdaDecay

from jointbert.checkpoint import Progress, Store
from jointbert.in_paddle import together
from jointbert.in_paddle.data import Batch, Settings, encode, training_batches, training_order
from jointbert.in_paddle.metrics import evaluate
from jointbert.in_paddle.model import JointBert, build_model
from jointbert.in_paddle.optimize import AdamW, build_optimizer, update
from jointbert.in_paddle.strides import without_views
from jointbert.in_paddle.together import ALONE, Ranks
from jointbert.workers import PeerLost
from modelparity import InputError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Trained:
    """A finished training.

    model        with the parameters of the best epoch, in evaluation mode
    losses       of every update
    evaluations  scores of the dev split after each epoch; `best` is the index of the best one
    """

    model: JointBert
    losses: tuple[float, ...]
    evaluations: tuple[Mapping[str, float], ...]
    best: int


@dataclass(frozen=True)
class Listener:
    """Who is told: of every update (number done, their total, its loss), and of every epoch."""

    on_update: Callable[[int, int, float], None] = lambda *_: None
    on_epoch: Callable[[int, Mapping[str, float], bool], None] = lambda *_: None
    on_best: Callable[[JointBert], None] = lambda _: None


QUIET = Listener()


def fit(
    settings: Settings,
    listener: Listener = QUIET,
    store: Store | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train for `epochs` and keep the epoch of the best dev semantic-frame accuracy.

    Equal accuracies are told apart by the dev loss. Goes on from the checkpoint of `store` where it
    has one, to the same parameters, bit for bit, in as many processes. Each of these calls this
    function with what it is of the `ranks`; the first evaluates and saves, and all end with the
    same parameters. Seeds Paddle's generator from `seed`.
    """
    run = _begin(settings, ranks)
    found = _found(store, ranks)
    progress = found[1] if found else Progress()
    if found:
        _restore(run, found[0], len(progress.losses))
    try:
        _train(run, settings, progress, listener, store)
    except PeerLost:
        # Between two updates, so that all is there that a checkpoint needs.
        if store and ranks.rank == 0 and progress.losses:
            store.save(_state(run), progress)
        raise
    run.model.set_state_dict(_tensors(run.best))
    run.model.eval()
    return Trained(run.model, tuple(progress.losses), tuple(progress.evaluations), progress.best)


@dataclass
class _Run:
    ranks: Ranks
    model: JointBert
    optimizer: AdamW
    schedule: LambdaDecay
    per_epoch: int  # updates
    updates: int
    best: Mapping[str, Array] = field(default_factory=dict)


def _begin(settings: Settings, ranks: Ranks) -> _Run:
    paddle.seed(settings["seed"])
    model = build_model(settings)
    batches = len(training_order(settings, encode(settings, "train"), 0))
    per_epoch = -(-batches // settings.get("gradient_accumulation_steps", 1))
    updates = settings["epochs"] * per_epoch
    return _Run(ranks, model, *build_optimizer(model, settings, updates), per_epoch, updates)


def _train(
    run: _Run, settings: Settings, progress: Progress, listener: Listener, store: Store | None
) -> None:
    while not progress.finished(settings["epochs"], settings.get("patience", 0)):
        for loss in _epoch(run, settings, len(progress.evaluations), len(progress.losses)):
            progress.losses.append(loss)
            listener.on_update(len(progress.losses), run.updates, loss)
            if store and store.due(len(progress.losses)):
                _save(run, progress, store)
        better = progress.add(_scores(run, settings))
        if better:
            run.best = _parameters(run.model)
            listener.on_best(run.model)
        _save(run, progress, store)
        listener.on_epoch(len(progress.evaluations), progress.evaluations[-1], better)


def _found(store: Store | None, ranks: Ranks) -> tuple[dict[str, Array], Progress] | None:
    """The latest checkpoint. The first process looks before the others, and complains alone."""
    found = store.load() if store and ranks.rank == 0 else None
    done = together.told(ranks, len(found[1].losses) if found else 0)
    if store and ranks.rank:
        found = store.load()
    if (len(found[1].losses) if found else 0) != done:
        raise InputError(
            f"process {ranks.rank} finds another checkpoint than the first; all must"
            " see the same --out"
        )
    return found


def _epoch(run: _Run, settings: Settings, epoch: int, done: int) -> Iterator[float]:
    """The loss of every update of an epoch behind the first `done` of the training."""
    run.model.train()
    groups = _grouped(settings, epoch)
    for number, group in enumerate(islice(groups, done - epoch * run.per_epoch, None), done):
        # From the update's number, so that a checkpoint needs no generator's state. Another mask
        # for each process's rows; the first process draws as one that trains alone.
        drawn = np.random.default_rng([settings["seed"], number, run.ranks.rank])
        paddle.seed(int(drawn.integers(2**31)))
        yield _update(run, settings, group)


def _update(run: _Run, settings: Settings, group: Sequence[Batch]) -> float:
    """The loss of one update, from the gradients of these batches."""
    total = 0.0
    for batch in group:
        part = together.loss(run.ranks, run.model, _tensors(batch))
        part = part / len(group) if len(group) > 1 else part
        with without_views():
            part.backward()
        total += part.item()
    total = together.add_up(run.ranks, run.model, total)
    update(run.model, run.optimizer, run.schedule, settings)
    run.optimizer.clear_grad(set_to_zero=False)
    return total


def _scores(run: _Run, settings: Settings) -> dict[str, float]:
    """Of the dev split, computed by the first process."""
    result = evaluate(run.model, settings, "dev") if run.ranks.rank == 0 else {}
    scores: dict[str, float] = together.told(
        run.ranks, {name: value for name, value in result.items() if isinstance(value, float)}
    )
    return scores


def _save(run: _Run, progress: Progress, store: Store | None) -> None:
    """Write a checkpoint in the first process, for which the others wait."""
    if store and run.ranks.rank == 0:
        store.save(_state(run), progress)
    together.told(run.ranks, None)


def _grouped(settings: Settings, epoch: int) -> Iterator[list[Batch]]:
    batches = iter(training_batches(settings, epoch))
    while group := list(islice(batches, settings.get("gradient_accumulation_steps", 1))):
        yield group


def _tensors(arrays: Mapping[str, Array]) -> dict[str, paddle.Tensor]:
    return {name: paddle.to_tensor(array) for name, array in arrays.items()}


def _parameters(model: JointBert) -> dict[str, Array]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def _state(run: _Run) -> dict[str, Array]:
    """Everything that the next update depends on, and the best parameters so far."""
    arrays = {f"model/{name}": value for name, value in _parameters(run.model).items()}
    for name, parameter in run.model.named_parameters():
        for kind, value in run.optimizer.moments(parameter).items():
            arrays[f"{kind}/{name}"] = value.numpy()
    return {**arrays, **{f"best/{name}": value for name, value in run.best.items()}}


def _restore(run: _Run, arrays: Mapping[str, Array], updates: int) -> None:
    kinds: dict[str, dict[str, Array]] = {}
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        kinds.setdefault(kind, {})[name] = array
    run.model.set_state_dict(_tensors(kinds.pop("model")))
    run.best = kinds.pop("best", {})
    for name, parameter in run.model.named_parameters():
        run.optimizer.set_moments(parameter, {k: values[name] for k, values in kinds.items()})
    run.schedule.step(updates)
