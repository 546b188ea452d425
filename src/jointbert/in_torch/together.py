"""The processes that train one model: each one's share of a batch, and what they add up to.

Every process goes through the same batches and takes some rows of each. The gradients of the shares
are added up; then every process makes the same update.
"""

import atexit
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from jointbert.in_torch.model import JointBert, Task
from jointbert.workers import PeerLost

PATIENCE = timedelta(days=1)  # the others wait while the first evaluates


@dataclass(frozen=True)
class Ranks:
    """The number of this process among so many."""

    rank: int = 0
    size: int = 1


ALONE = Ranks()


def join(rank: int, size: int) -> Ranks:
    """Meet the other processes, where the launcher's variables say; wait until all are there."""
    if size > 1:
        distributed.init_process_group("gloo", timeout=PATIENCE, rank=rank, world_size=size)
        # One that is still there when the interpreter has gone may abort the process.
        atexit.register(distributed.destroy_process_group)
    return Ranks(rank, size)


def rows(ranks: Ranks, count: int) -> slice:
    """Which of so many rows are this process's: consecutive, in the order of processes; or none."""
    return slice(*(-(-count * rank // ranks.size) for rank in (ranks.rank, ranks.rank + 1)))


def share(ranks: Ranks, batch: Mapping[str, Any]) -> dict[str, Any]:
    """This process's rows of a batch."""
    own = rows(ranks, len(batch["input_ids"]))
    return {name: values[own] for name, values in batch.items()}


def loss(ranks: Ranks, model: JointBert, batch: Mapping[str, Tensor]) -> Tensor:
    """This process's part of the loss of a whole batch: all parts add up to it.

    The losses of a share are means over its own sentences and words; here each counts as much as
    they are of the whole batch's.
    """
    if ranks.size == 1:
        whole: Tensor = model(**batch)["loss"]
        return whole
    own = share(ranks, batch)
    if not len(own["input_ids"]):
        # Nothing to compute; but every parameter must have a gradient to add.
        return torch.stack([p.sum() for p in model.parameters()]).sum() * 0.0
    outputs, task = model(**own), model.task
    mine, all_ = _weights(own, task), _weights(batch, task)
    intents, slots = outputs["intent_loss"], outputs["slot_loss"]
    part: Tensor = intents * (mine[0] / all_[0])
    return part + task.slot_loss_coef * slots * (mine[1] / all_[1])


def _weights(batch: Mapping[str, Any], task: Task) -> tuple[float, float]:
    """What the means of both losses divide by: the weights of the intents and of the slots."""
    intents, slots = (np.asarray(batch[n]) for n in ("intent_label_ids", "slot_labels_ids"))
    whole = _sum(task.intent_weights, intents)
    if task.crf:
        return whole, float(len(intents))
    labelled = (np.asarray(batch["attention_mask"]) == 1) & (slots != task.ignore_index)
    return whole, _sum(task.slot_weights, slots[labelled])


def _sum(weights: Iterable[float], labels: np.ndarray[Any, Any]) -> float:
    each = np.asarray(tuple(weights))
    return float(each[labels].sum()) if each.size else float(labels.size)


def add_up(ranks: Ranks, model: JointBert, loss: float) -> float:
    """Put into every process the sum of all gradients; the sum of their losses."""
    if ranks.size == 1:
        return loss
    whole = torch.tensor(loss, dtype=torch.float64)
    gradients = [_gradient(p) for p in model.parameters() if p.requires_grad]
    try:
        # All at once: each would wait for an answer before the next sets out.
        for work in [distributed.all_reduce(g, async_op=True) for g in (*gradients, whole)]:
            work.wait()
    except RuntimeError as error:
        raise _lost() from error
    return float(whole)


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def told(ranks: Ranks, value: Any) -> Any:
    """What the first process has here (of JSON), in every process, which wait for it."""
    if ranks.size == 1:
        return value
    text = json.dumps(value).encode() if ranks.rank == 0 else b""
    length = torch.tensor(len(text))
    try:
        distributed.broadcast(length, 0)
        letters = torch.zeros(int(length), dtype=torch.uint8)
        if text:
            letters = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        distributed.broadcast(letters, 0)
    except RuntimeError as error:
        raise _lost() from error
    return json.loads(letters.numpy().tobytes())


def _lost() -> PeerLost:
    return PeerLost(
        "another process of this training does not answer; the same command with --resume goes on"
    )
