"""Masks for every dropout that Paddle runs in sight."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import functional
from paddle.nn.functional import common

from modelparity.adapters import Array, DropoutCall
from modelparity.adapters._dropout import ELEMENTS, Sites
from modelparity.adapters._watch import replaced

# The operator's name for a mode of the function.
MODES = {"downgrade_in_infer": "downscale_in_infer"}
# Places of the arguments of scaled_dot_product_attention and of the alpha dropouts' function.
ATTENTION = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "training")
ALPHA = ("x", "feature_dropout", "p", "training")


@contextmanager
def dropout(model: nn.Layer, draw: Callable[[DropoutCall], Array]) -> Iterator[None]:
    """Let masks decide what every dropout keeps; UnreachableDropout where none can be given.

    Replacing the function reaches layers (`nn.Dropout2D` calls it inside its own module), and
    replacing the operator beneath reaches what was imported by name.
    """
    sites = Sites(draw)
    masks = _Masks(sites)
    handles = []
    for name, layer in model.named_sublayers(include_self=True):
        push, pop = sites.hooks(name)
        handles.append(layer.register_forward_pre_hook(push))
        handles.append(layer.register_forward_post_hook(pop, always_call=True))
    alpha = masks.other(common._feature_alpha_dropout_impl)
    fused = masks.fused(functional.scaled_dot_product_attention)
    try:
        with replaced(
            (functional, "dropout", masks.functional),
            (common, "dropout", masks.functional),
            (common, "_feature_alpha_dropout_impl", alpha),
            (functional, "scaled_dot_product_attention", fused),
            (paddle._C_ops, "dropout", masks.operator),
            (paddle._C_ops, "dropout_", masks.operator),
        ):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _mask_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """A mask varies along the axes that are named; along the others one element counts for all."""
    if axis is None:
        return shape
    along = {axis} if isinstance(axis, int) else set(axis)
    return tuple(size if place in along else 1 for place, size in enumerate(shape))


class _Masks:
    """What takes the place of each of the framework's functions."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._real = common.dropout
        self._operator = paddle._C_ops.dropout
        self._within = False

    def functional(
        self,
        x: Tensor,
        p: float = 0.5,
        axis: Any = None,
        training: bool = True,
        inplace: bool = False,
        mode: str = "upscale_in_train",
        name: str | None = None,
    ) -> Tensor:
        """`paddle.nn.functional.dropout` with a given mask."""
        rate, active = float(p), bool(training and p > 0.0)
        scale = self._sites.scale(
            (rate, active, mode), lambda: self._measured(rate, active=active, mode=mode)
        )
        shape = _mask_shape(tuple(x.shape), axis) if active else tuple(x.shape)
        keep = self._sites.keep(rate=rate, active=active, scale=scale, shape=shape)
        if not active:
            return self._untouched(x, rate, training=training, mode=mode)
        mask = paddle.to_tensor(keep).astype(x.dtype) * scale
        return x.multiply_(mask) if inplace else x * mask

    def operator(
        self,
        x: Tensor,
        seed_tensor: Any,
        p: float,
        is_test: bool,
        mode: str,
        *seed: Any,
    ) -> Tensor:
        """The operator beneath, reached by a function that was imported by name."""
        if self._within:
            return self._operator(x, seed_tensor, p, is_test, mode, *seed)
        return self.functional(x, p, training=not is_test, mode=MODES.get(mode, mode))

    def fused(self, attention: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Attention whose dropout must come by `functional`, as where Paddle composes it."""

        def checked(*args: Any, **kwargs: Any) -> Tensor:
            given = {**dict(zip(ATTENTION, args, strict=False)), **kwargs}
            seen = self._sites.total
            output = attention(*args, **kwargs)
            drops = given.get("training", True) and given.get("dropout_p", 0.0) > 0.0
            if drops and self._sites.total == seen:
                raise self._sites.unreachable("inside scaled_dot_product_attention")
            return output

        return checked

    def other(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A dropout of another kind: passes where it is inactive."""

        def checked(*args: Any, **kwargs: Any) -> Tensor:
            given = {**dict(zip(ALPHA, args, strict=False)), **kwargs}
            if given.get("training", True) and given.get("p", 0.5) > 0.0:
                raise self._sites.unreachable("by an alpha dropout")
            return function(*args, **kwargs)

        return checked

    def _measured(self, rate: float, *, active: bool, mode: str) -> float:
        state = paddle.get_rng_state()
        try:
            ones = paddle.ones([1, ELEMENTS], dtype="float32")  # one mode takes no vectors
            return float(self._untouched(ones, rate, training=active, mode=mode).max())
        finally:
            paddle.set_rng_state(state)

    def _untouched(self, x: Tensor, rate: float, *, training: bool, mode: str) -> Tensor:
        self._within = True
        try:
            return self._real(x, rate, training=training, mode=mode)
        finally:
            self._within = False
