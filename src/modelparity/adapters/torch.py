"""The PyTorch adapter."""

import os
import platform
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modelparity.adapters import Applied, Array, Call, Tensors
from modelparity.adapters._torch_configuration import configuration as configuration
from modelparity.adapters._torch_dropout import dropout as dropout
from modelparity.adapters._torch_optimizer import (
    held_by,
    names_of,
)
from modelparity.adapters._torch_optimizer import (
    optimizer_configuration as optimizer_configuration,
)
from modelparity.adapters._watch import Watch
from modelparity.errors import ParityError, UsageError

STATE = {
    "exp_avg": "first_moment",
    "exp_avg_sq": "second_moment",
    "max_exp_avg_sq": "max_second_moment",
    "momentum_buffer": "momentum",
    "square_avg": "second_moment",
}


def versions() -> dict[str, str]:
    """Versions of torch, NumPy, Python and of libraries that are imported already."""
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    for name in ("transformers", "tokenizers", "safetensors", "seqeval"):
        if name in sys.modules and hasattr(sys.modules[name], "__version__"):
            found[name] = sys.modules[name].__version__
    return found


def start(*, threads: int) -> dict[str, str]:
    """Set threads (0: all cores) and deterministic kernels; say what affects rounding.

    Kernels without a deterministic form warn and run. Raises UsageError for threads below 0.
    """
    if threads < 0:
        raise UsageError(f"threads: {threads}; expected 0 or more")
    torch.set_num_threads(threads or os.cpu_count() or 1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    return {
        "threads": str(torch.get_num_threads()),
        "device": "cpu",
        "matrix library": "mkl" if torch.backends.mkl.is_available() else "other",
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "MKL_DEBUG_CPU_TYPE": os.environ.get("MKL_DEBUG_CPU_TYPE", ""),
    }


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Make `dtype` the default of new floating tensors."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def seed(seed: int) -> None:
    """Seed torch, NumPy's legacy generator and Python's."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def cast(model: nn.Module, dtype: str) -> None:
    """Cast in place; ParityError names the first parameter or buffer that stays."""
    wanted = getattr(torch, dtype)
    model.to(dtype=wanted)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype != wanted:
            raise ParityError(f"{name}: it stays {tensor.dtype} where {dtype} was asked for")


def train(model: nn.Module, training: bool) -> None:
    """Switch the mode."""
    model.train(training)


def tensors(batch: Mapping[str, Array], dtype: str) -> dict[str, Tensor]:
    """A batch as tensors: floats in `dtype`. ParityError for what torch has no tensors of."""
    wanted, made = getattr(torch, dtype), {}
    for name, values in batch.items():
        try:
            tensor = torch.from_numpy(np.array(values))
        except TypeError as error:
            text = f"{name}: torch has no tensors of {values.dtype}; give numbers"
            raise ParityError(text) from error
        made[name] = tensor.to(wanted) if tensor.is_floating_point() else tensor
    return made


def array(value: Any) -> Array:
    """A copy as an array of the same dtype. ParityError for dtypes that NumPy lacks."""
    if not isinstance(value, Tensor):
        return np.array(value)
    dense = value.detach().cpu().to_dense().resolve_conj().resolve_neg()
    try:
        return np.array(dense.numpy(), order="C")
    except TypeError as error:
        text = f"arrays of {value.dtype} cannot be recorded; run in float32 or float64"
        raise ParityError(text) from error


def like(array: Array, tensor: Tensor) -> Tensor:
    """An array as a tensor of the other's dtype."""
    return torch.from_numpy(np.array(array)).to(tensor.dtype)


def _places(model: nn.Module) -> dict[str, Tensor]:
    persistent = model.state_dict(keep_vars=True)
    places: dict[str, Tensor] = dict(model.named_parameters())
    for name, tensor in model.named_buffers():
        if name in persistent and tensor.is_floating_point():
            places[name] = tensor
    return places


def parameters(model: nn.Module) -> dict[str, Array]:
    """Parameters, then persistent floating buffers, by dotted name."""
    return {name: array(tensor) for name, tensor in _places(model).items()}


def trainable(model: nn.Module) -> list[str]:
    """Names of the parameters that require a gradient."""
    return [name for name, tensor in model.named_parameters() if tensor.requires_grad]


def load(model: nn.Module, arrays: Mapping[str, Array]) -> None:
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
    with torch.no_grad():
        for name, values in arrays.items():
            places[name].copy_(torch.from_numpy(np.array(values)))


def backward(loss: Tensor) -> None:
    """Backpropagate."""
    loss.backward()


def gradients(model: nn.Module) -> dict[str, Array]:
    """Gradients by name."""
    return {n: array(p.grad) for n, p in model.named_parameters() if p.grad is not None}


def set_gradients(model: nn.Module, arrays: Mapping[str, Array]) -> None:
    """Replace every gradient. ValueError for an unknown name or another shape."""
    places = dict(model.named_parameters())
    for name, values in arrays.items():
        if name not in places:
            raise ValueError(f"{name}: the model has no such parameter to give a gradient")
        if tuple(places[name].shape) != values.shape:
            shapes = f"{values.shape} against the parameter's {tuple(places[name].shape)}"
            raise ValueError(f"{name}: a gradient of {shapes}")
    for name, parameter in places.items():
        parameter.grad = None
        if name in arrays:
            parameter.grad = torch.from_numpy(np.array(arrays[name])).to(parameter.dtype)


@contextmanager
def observe(
    model: nn.Module,
    *,
    before: Callable[[Call, Tensors], Tensors | None] | None = None,
    after: Callable[[Call, Tensors], Tensors | None] | None = None,
) -> Iterator[None]:
    """Call back around every submodule's run."""
    watch = Watch(Tensor, before, after)
    handles = []
    for name, module in model.named_modules():
        first, second = watch.hooks(name, leaf=not list(module.children()))
        handles.append(module.register_forward_pre_hook(first, with_kwargs=True))
        handles.append(module.register_forward_hook(second, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def optimizer_state(model: nn.Module, optimizer: Any) -> dict[str, dict[str, Array]]:
    """Moments by parameter name and common kind; absent before the first update."""
    found: dict[str, dict[str, Array]] = {}
    for name, parameter, _ in held_by(optimizer, names_of(model)):
        for key, value in optimizer.state.get(parameter, {}).items():
            if key in STATE and value is not None:
                found.setdefault(name, {})[STATE[key]] = array(value)
    return found


@contextmanager
def watch_updates(
    model: nn.Module,
    optimizer: Any,
    on_update: Callable[[Applied], None],
    given: Callable[[], Mapping[str, Array]] | None = None,
) -> Iterator[None]:
    """Call back when the optimizer's rule is about to run; `given` are the gradients it gets.

    Clipping is over by then: torch clips by functions that run before `step`.
    """
    names = names_of(model)

    def note(_optimizer: Any, _args: Any, _kwargs: Any) -> None:
        held = [(name, p, float(group["lr"])) for name, p, group in held_by(optimizer, names)]
        rates = {name: rate for name, _, rate in held}
        on_update(
            Applied(rates, lambda: {n: array(p.grad) for n, p, _ in held if p.grad is not None})
        )
        arrays = given() if given else {}
        for name, p, _ in held:
            if name in arrays and p.grad is not None:
                p.grad.copy_(like(arrays[name], p.grad))

    handle = optimizer.register_step_pre_hook(note)
    try:
        yield
    finally:
        handle.remove()
