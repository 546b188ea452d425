"""The adapter of a model that several processes train: that of one, but for what takes all."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from jointbert.in_torch import together
from jointbert.in_torch.together_side import last, ranks
from modelparity.adapters import Array, DropoutCall
from modelparity.adapters import torch as of_one


def __getattr__(name: str) -> Any:
    return getattr(of_one, name)


def backward(loss: Tensor) -> None:
    """Backpropagate, and add up: all gradients, and the loss in its tensor."""
    of_one.backward(loss)
    whole = together.add_up(ranks(), last.pop("model"), loss.item())
    with torch.no_grad():
        loss.fill_(whole)


def dropout(model: nn.Module, draw: Callable[[DropoutCall], Array]) -> AbstractContextManager[None]:
    """Let every dropout keep what `draw` says of the whole batch, of which each has its rows."""

    def own(call: DropoutCall) -> Array:
        whole = draw(replace(call, shape=(last["rows"], *call.shape[1:])))
        return whole[together.rows(ranks(), last["rows"])]

    return of_one.dropout(model, own)
