"""Masks for every dropout that PyTorch runs in sight."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from modelparity.adapters import Array, DropoutCall
from modelparity.adapters._dropout import ELEMENTS, Sites
from modelparity.adapters._watch import replaced

# Dropouts that do not scale by a constant.
OTHERS: tuple[Callable[..., Any], ...] = (
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
    torch.alpha_dropout,
    torch.alpha_dropout_,
    torch.feature_alpha_dropout,
    torch.feature_alpha_dropout_,
)
# Dropouts of whole channels: the function, and the axes of an input that is a batch.
CHANNELS: tuple[tuple[Callable[..., Any], int], ...] = (
    (functional.dropout1d, 3),
    (functional.dropout2d, 3),  # of (N, C, L) too, as dropout1d
    (functional.dropout3d, 5),
    (torch.feature_dropout, 2),
)


@contextmanager
def dropout(model: nn.Module, draw: Callable[[DropoutCall], Array]) -> Iterator[None]:
    """Let masks decide what every dropout keeps; UnreachableDropout inside fused kernels.

    Replacing `functional.dropout` reaches modules and functions; a function mode reaches what was
    imported by name or calls `torch.dropout`.
    """
    sites = Sites(draw)
    masks = _Masks(sites)
    handles = []
    for name, module in model.named_modules():
        push, pop = sites.hooks(name)
        handles.append(module.register_forward_pre_hook(push))
        handles.append(module.register_forward_hook(pop, always_call=True))
    caught: dict[Any, Callable[..., Any]] = {
        masks.real: masks.functional,
        torch.dropout: masks.operator,
        torch.native_dropout: masks.native,
        torch.dropout_: lambda x, p, train: masks.functional(x, p, train, True),
        masks.attention: masks.fused,
        **{function: masks.other(function) for function in OTHERS},
        **{function: masks.channels(axes) for function, axes in CHANNELS},
        torch.feature_dropout_: masks.other(torch.feature_dropout_),
    }
    try:
        with (
            replaced(
                (functional, "dropout", masks.functional),
                (functional, "scaled_dot_product_attention", masks.fused),
            ),
            _Catch(caught),
        ):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _Catch(TorchFunctionMode):  # type: ignore[misc]  # untyped where torch is skipped
    """Hands calls of some functions to others, by whatever name they were called."""

    def __init__(self, caught: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self._caught = caught

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        return self._caught.get(func, func)(*args, **(kwargs or {}))


class _Masks:
    """What takes the place of each of the framework's functions."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self.real = functional.dropout
        self.attention = functional.scaled_dot_product_attention

    def functional(
        self,
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """`torch.nn.functional.dropout` with a given mask, of another `shape` than its input's."""
        rate, active = float(p), bool(training and p > 0.0)
        scale = self._sites.scale((rate, active, ""), lambda: self._measured(rate, active))
        whole = tuple(input.shape)
        shape = shape if active and shape else whole
        keep = self._sites.keep(rate=rate, active=active, scale=scale, shape=shape)
        if not active:
            return input
        mask = torch.from_numpy(np.array(keep)).to(input) * scale
        return input.mul_(mask) if inplace else input * mask

    def operator(self, input: Tensor, p: float, train: bool) -> Tensor:
        """`torch.dropout` with a given mask."""
        return self.functional(input, p, train)

    def native(self, input: Tensor, p: float, train: bool | None) -> Any:
        """`torch.native_dropout`: it returns its own mask too."""
        if train is not False and p > 0.0:
            raise self._sites.unreachable("by torch.native_dropout")
        return torch.native_dropout(input, p, train)

    def fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **how: Any,
    ) -> Tensor:
        """Attention; with dropout by its formula, because the kernel would draw its own mask.

        The formula is that of the documentation of `scaled_dot_product_attention`.
        """
        if not dropout_p > 0.0:
            return self.attention(query, key, value, attn_mask, dropout_p, is_causal, **how)
        if how.get("enable_gqa") or is_causal:
            raise self._sites.unreachable("inside scaled_dot_product_attention (eager reaches it)")
        scale = how.get("scale")
        scores = query @ key.transpose(-2, -1)
        scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        weights = torch.softmax(scores, dim=-1)
        return self.functional(weights, dropout_p) @ value

    def channels(self, axes: int) -> Callable[..., Tensor]:
        """A dropout of whole channels; an input of fewer than `axes` axes is one example."""

        def dropped(
            input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
        ) -> Tensor:
            kept = 2 if input.ndim >= axes else 1
            shape = (*input.shape[:kept], *(1,) * (input.ndim - kept))
            return self.functional(input, p, training, inplace, shape)

        return dropped

    def other(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A dropout of another kind: passes where it is inactive."""

        def checked(*args: Any, **kwargs: Any) -> Any:
            given = {**dict(zip(("input", "p", "training"), args, strict=False)), **kwargs}
            if given.get("training", given.get("train", True)) and given.get("p", 0.5) > 0.0:
                raise self._sites.unreachable(f"by {function.__name__}")
            return function(*args, **kwargs)

        return checked

    def _measured(self, rate: float, active: bool) -> float:
        with torch.random.fork_rng(devices=[]), torch._C.DisableTorchFunction():
            return float(self.real(torch.ones(ELEMENTS), rate, active).max())
