"""The face on the ladder of a training in two processes: the functions of docs/sides.md.

The recorder's process is the first of the two. What another recorder runs, on the other side of the
case, is the same framework in one process.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, distributed

from jointbert import recorders
from jointbert.in_paddle import data, model, together
from jointbert.in_paddle.data import Batch, Settings
from jointbert.in_paddle.model import JointBert
from jointbert.in_paddle.side import build_optimizer, evaluate, update  # in each process alike
from jointbert.in_paddle.together import Ranks

__all__ = [
    "build_model",
    "build_optimizer",
    "evaluate",
    "forward",
    "training_batches",
    "update",
]

ADAPTER = "jointbert.in_paddle.together_adapter"

last: dict[str, Any] = {}  # the model of the last forward, and the rows of its whole batch


@cache
def ranks() -> Ranks:
    """Which of the two this process is; the first call starts the other and waits for it."""
    return together.join(*recorders.meet())


def build_model(settings: Settings) -> JointBert:
    """The model as training would start, in each process."""
    ranks()
    return model.build_model(settings)


def forward(model: JointBert, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """This process's part of the loss; the adapter's `backward` adds up."""
    last.update(model=model, rows=len(batch["input_ids"]))
    return {"loss": together.loss(ranks(), model, batch)}


def training_batches(settings: Settings, epoch: int) -> Iterator[Batch]:
    """Every batch of an epoch, as the processes' shares make it up."""
    for batch in data.training_batches(settings, epoch):
        yield _made_up(together.share(ranks(), batch))


def _made_up(share: Batch) -> Batch:
    """The shares of all processes, one behind the other."""
    counts = _sum(
        [len(share["input_ids"]) * (rank == ranks().rank) for rank in range(ranks().size)]
    )
    start = int(counts[: ranks().rank].sum())
    batch = {}
    for name, array in share.items():
        whole = np.zeros((int(counts.sum()), *array.shape[1:]), array.dtype)
        whole[start : start + len(array)] = array
        batch[name] = _sum(whole)
    return batch


def _sum(values: Any) -> np.ndarray[Any, Any]:
    tensor = paddle.to_tensor(values)
    distributed.all_reduce(tensor)
    return np.array(tensor)
