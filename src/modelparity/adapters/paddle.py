"""The PaddlePaddle adapter."""

import os
import platform
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modelparity.adapters import Applied, Array, Call, Tensors
from modelparity.adapters._watch import Watch, replaced
from modelparity.errors import ParityError, UsageError


def _is_amd() -> bool:
    processor = Path("/proc/cpuinfo")
    return processor.exists() and "AuthenticAMD" in processor.read_text(errors="replace")


# On AMD processors the matrix library beneath Paddle takes its slow path unless told, before it is
# loaded, to use AVX2: 1.3 to 1.4 times torch's time instead of 2.5. It changes float32 rounding,
# so `start` reports it.
if _is_amd():
    os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")

import paddle  # noqa: E402
from paddle import Tensor, nn  # noqa: E402

from modelparity.adapters._paddle_configuration import configuration as configuration  # noqa: E402
from modelparity.adapters._paddle_constants import hold_exactly  # noqa: E402
from modelparity.adapters._paddle_dropout import dropout as dropout  # noqa: E402
from modelparity.adapters._paddle_optimizer import (  # noqa: E402
    groups_of,
    names_of,
    rates,
)
from modelparity.adapters._paddle_optimizer import (  # noqa: E402
    optimizer_configuration as optimizer_configuration,
)

NOT_IN_NUMPY = ("paddle.bfloat16", "paddle.float8_e4m3fn", "paddle.float8_e5m2")
STATE = {
    "moment1": "first_moment",
    "moment2": "second_moment",
    "moment2_max": "max_second_moment",
    "mean_square": "second_moment",
    "velocity": "momentum",
}


def versions() -> dict[str, str]:
    """Versions of Paddle, NumPy, Python and of libraries that are imported already."""
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "paddle": paddle.__version__,
    }
    for name in ("transformers", "tokenizers", "safetensors"):
        if name in sys.modules and hasattr(sys.modules[name], "__version__"):
            found[name] = sys.modules[name].__version__
    return found


def start(*, threads: int) -> dict[str, str]:
    """Set threads (0: all cores) and exact constants in float64; say what affects rounding.

    Paddle's CPU kernels are deterministic. Raises UsageError for fewer than 0 threads.
    """
    if threads < 0:
        raise UsageError(f"threads: {threads}; expected 0 or more")
    count = threads or os.cpu_count() or 1
    paddle.set_device("cpu")
    paddle.base.core.set_num_threads(count)
    hold_exactly()
    return {
        "threads": str(count),
        "device": "cpu",
        "matrix library": "mkl" if paddle.version.mkl() == "ON" else "other",
        "MKL_DEBUG_CPU_TYPE": os.environ.get("MKL_DEBUG_CPU_TYPE", ""),
    }


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Make `dtype` the default of new floating tensors.

    Optimizers need no more than float64 parameters: their moments, beta powers and rate follow the
    parameters, and betas and eps are kept in float64. A decay coefficient and the factor of a
    momentum are float32 in Paddle's kernels (3.3.1), whatever the precision; `start` makes up for
    it.
    """
    before = paddle.get_default_dtype()
    paddle.set_default_dtype(dtype)
    try:
        yield
    finally:
        paddle.set_default_dtype(before)


def seed(seed: int) -> None:
    """Seed Paddle, NumPy's legacy generator and Python's."""
    paddle.seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def cast(model: nn.Layer, dtype: str) -> None:
    """Cast in place; ParityError names the first parameter or buffer that stays.

    `Layer.astype` would leave parameters in float32 without a word; `Layer.to` casts them, but
    integer buffers too, which index nothing any more. This is `Layer.to` for floats alone.
    """
    model._to_impl(dtype=dtype, floating_only=True)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and str(tensor.dtype) != f"paddle.{dtype}":
            raise ParityError(f"{name}: it stays {tensor.dtype} where {dtype} was asked for")


def train(model: nn.Layer, training: bool) -> None:
    """Switch the mode."""
    if training:
        model.train()
    else:
        model.eval()


def tensors(batch: Mapping[str, Array], dtype: str) -> dict[str, Tensor]:
    """A batch as tensors: floats in `dtype`. ParityError for what Paddle has no tensors of."""
    made = {}
    for name, values in batch.items():
        # Paddle would take uint16 for bfloat16, wrap larger unsigned ones, and pack strings.
        if values.dtype.kind not in "bifc" and values.dtype != np.uint8:
            raise ParityError(f"{name}: Paddle has no tensors of {values.dtype}; give numbers")
        given = values.astype(dtype) if values.dtype.kind == "f" else values
        made[name] = paddle.to_tensor(np.ascontiguousarray(given).reshape(values.shape))
    return made


def array(value: Any) -> Array:
    """A copy as an array of the same dtype. ParityError for dtypes that NumPy lacks."""
    if not isinstance(value, Tensor):
        return np.array(value)
    if str(value.dtype) in NOT_IN_NUMPY:  # Paddle would hand out their bits as integers
        raise ParityError(f"arrays of {value.dtype} cannot be recorded; run in float32 or float64")
    if not value.is_dense():
        raise ParityError(
            "a sparse gradient cannot be recorded; build the embedding with sparse=False"
        )
    return np.array(value.detach().numpy(), order="C")


def like(array: Array, tensor: Tensor) -> Tensor:
    """An array as a tensor of the other's dtype."""
    return _tensor(array, tensor)


def _places(model: nn.Layer) -> dict[str, Tensor]:
    persistent = model.state_dict()
    places: dict[str, Tensor] = dict(model.named_parameters())
    for name, tensor in model.named_buffers():
        if name in persistent and tensor.is_floating_point():
            places[name] = tensor
    return places


def parameters(model: nn.Layer) -> dict[str, Array]:
    """Parameters, then persistent floating buffers, by dotted name."""
    return {name: array(tensor) for name, tensor in _places(model).items()}


def trainable(model: nn.Layer) -> list[str]:
    """Names of the parameters that require a gradient."""
    return [name for name, tensor in model.named_parameters() if not tensor.stop_gradient]


def load(model: nn.Layer, arrays: Mapping[str, Array]) -> None:
    """Copy arrays into parameters. ParityError for an unknown name or another shape."""
    places = _places(model)
    for name, values in arrays.items():
        if name not in places:
            raise ParityError(
                f"{name}: the model has no such parameter; name it as `parameters` do"
            )
        if tuple(places[name].shape) != values.shape:
            shapes = f"{values.shape} against the model's {tuple(places[name].shape)}"
            raise ParityError(f"{name}: {shapes}; transpose or reshape the array first")
    for name, values in arrays.items():
        places[name].set_value(_tensor(values, places[name]))


def _tensor(values: Array, like: Tensor) -> Tensor:
    return paddle.to_tensor(np.array(values, order="C")).astype(like.dtype)


def backward(loss: Tensor) -> None:
    """Backpropagate."""
    loss.backward()


def gradients(model: nn.Layer) -> dict[str, Array]:
    """Gradients by name."""
    return {n: array(p.grad) for n, p in model.named_parameters() if p.grad is not None}


def set_gradients(model: nn.Layer, arrays: Mapping[str, Array]) -> None:
    """Replace every gradient. ValueError for an unknown name or another shape."""
    places = dict(model.named_parameters())
    for name, values in arrays.items():
        if name not in places:
            raise ValueError(f"{name}: the model has no such parameter to give a gradient")
        if tuple(places[name].shape) != values.shape:
            shapes = f"{values.shape} against the parameter's {tuple(places[name].shape)}"
            raise ValueError(f"{name}: a gradient of {shapes}")
    for name, parameter in places.items():
        parameter.grad = None  # `clear_gradient` leaves zeros, which would be updated with
        if name in arrays:
            parameter.grad = _tensor(arrays[name], parameter)


@contextmanager
def observe(
    model: nn.Layer,
    *,
    before: Callable[[Call, Tensors], Tensors | None] | None = None,
    after: Callable[[Call, Tensors], Tensors | None] | None = None,
) -> Iterator[None]:
    """Call back around every submodule's run."""
    watch = Watch(Tensor, before, after)
    handles = []
    for name, layer in model.named_sublayers(include_self=True):
        first, second = watch.hooks(name, leaf=not list(layer.children()))
        handles.append(layer.register_forward_pre_hook(first, with_kwargs=True))
        handles.append(layer.register_forward_post_hook(second, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def optimizer_state(model: nn.Layer, optimizer: Any) -> dict[str, dict[str, Array]]:
    """Moments by parameter name and common kind; absent before the first update."""
    names = names_of(model)
    found: dict[str, dict[str, Array]] = {}
    for kind, held in optimizer._accumulators.items():
        for generated, tensor in held.items():
            if kind in STATE and generated in names:
                found.setdefault(names[generated], {})[STATE[kind]] = array(tensor)
    return found


@contextmanager
def watch_updates(
    model: nn.Layer,
    optimizer: Any,
    on_update: Callable[[Applied], None],
    given: Callable[[], Mapping[str, Array]] | None = None,
) -> Iterator[None]:
    """Call back when the optimizer's rule is about to run, behind `grad_clip`.

    `given` are the gradients that it gets in place of what was made of them.

    Clipping happens inside `step`, and what comes next is the regularization, which adds a coupled
    decay to the gradients; so that is where they are read. With parameter groups Paddle clips and
    applies one group after the other: the call comes before the last one's rule, once an update.
    An optimizer with a `step` of its own that does neither is not seen: no call.
    """
    names, step = names_of(model), optimizer.step
    regularize = optimizer.append_regularization_ops
    reached: dict[str, Tensor] = {}
    left = 0

    def clipped(pairs: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        reached.update({names[p.name]: g for p, g in pairs if p.name in names and g is not None})
        left -= 1
        if left == 0:
            held = dict(reached)
            on_update(
                Applied(rates(optimizer, names), lambda: {n: array(g) for n, g in held.items()})
            )
        arrays = given() if given else {}
        forced = [
            (p, like(arrays[names[p.name]], g) if names.get(p.name) in arrays else g)
            for p, g in pairs
        ]
        return regularize(forced, *args, **kwargs)

    def stepped(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        reached.clear()
        left = len(groups_of(optimizer))
        return step(*args, **kwargs)

    with replaced((optimizer, "step", stepped), (optimizer, "append_regularization_ops", clipped)):
        yield
