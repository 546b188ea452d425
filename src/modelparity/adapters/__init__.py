"""What an adapter is: one module a framework, whose functions know its live objects.

A side names its adapter by import path (`ADAPTER = "modelparity.adapters.torch"`); any module with
these functions will do. Arrays are NumPy arrays and always copies. Parameter names are the
framework's dotted names; "parameters" include the persistent floating-point buffers (BatchNorm's
running statistics), because a port must transfer both. Shared (tied) parameters appear once, under
the first name.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Tensors = list[Any]


@dataclass(frozen=True)
class Call:
    """One run of one submodule.

    module  dotted name; "" is the model itself
    index   0 for the first run of this module within the observed block, then 1, 2, ...
    leaf    whether it has no submodules
    again   runs the module's forward once more on other tensors (same order and number as its
            tensor inputs) and returns its tensor outputs, unobserved
    """

    module: str
    index: int
    leaf: bool
    again: Callable[[Tensors], Tensors]


@dataclass(frozen=True)
class DropoutCall:
    """One run of a dropout function.

    site    dotted name of the innermost submodule that was running
    index   0 for the site's first dropout within the observed block, then 1, 2, ...
    rate    the probability that it was asked for
    active  whether it drops at all (training mode and rate > 0)
    scale   what a kept element is multiplied with, measured on the framework's own function
    """

    site: str
    index: int
    rate: float
    active: bool
    scale: float
    shape: tuple[int, ...]


class Adapter(Protocol):
    """The functions of an adapter module."""

    def versions(self) -> dict[str, str]:
        """Names and versions of the framework and what computes beneath it."""

    def start(self, *, threads: int) -> dict[str, str]:
        """Set the number of threads and determinism; return facts that affect rounding."""

    def precision(self, dtype: str) -> AbstractContextManager[None]:
        """Make `dtype` ("float32" or "float64") the framework's default for new floats."""

    def seed(self, seed: int) -> None:
        """Seed every generator of the framework."""

    def cast(self, model: Any, dtype: str) -> None:
        """Cast parameters and floating buffers in place; ParityError names any that stays."""

    def train(self, model: Any, training: bool) -> None:
        """Switch between training and evaluation mode."""

    def tensors(self, batch: Mapping[str, Array], dtype: str) -> dict[str, Any]:
        """A batch as the framework's tensors: floats in `dtype`, everything else as it is."""

    def array(self, value: Any) -> Array:
        """A tensor (or number) as an array of the same dtype."""

    def like(self, array: Array, tensor: Any) -> Any:
        """An array as a tensor of the dtype of `tensor`."""

    def parameters(self, model: Any) -> dict[str, Array]:
        """Every parameter and floating buffer, in the model's own order."""

    def trainable(self, model: Any) -> list[str]:
        """The names of `parameters` that receive gradients."""

    def load(self, model: Any, arrays: Mapping[str, Array]) -> None:
        """Copy arrays into the parameters of these names, cast to their dtype.

        Names that are absent in `arrays` keep their values. Raises ParityError for an unknown name
        or another shape.
        """

    def configuration(self, model: Any) -> dict[str, dict[str, Any]]:
        """Per submodule, under common names, what numbers may hide.

        `kind` ("linear", "layernorm", "batchnorm", "embedding", "dropout", "activation", ...) and,
        where they apply: eps, bias (bool), padding_index, rate, form ("gelu", "gelu_tanh", ...),
        mode, momentum. Submodules of unknown kind are left out.
        """

    def backward(self, loss: Any) -> None:
        """Backpropagate."""

    def gradients(self, model: Any) -> dict[str, Array]:
        """Gradients by parameter name; a parameter without one is absent."""

    def set_gradients(self, model: Any, arrays: Mapping[str, Array]) -> None:
        """Replace every gradient; parameters absent in `arrays` have none afterwards."""

    def observe(
        self,
        model: Any,
        *,
        before: Callable[[Call, Tensors], Tensors | None] | None = None,
        after: Callable[[Call, Tensors], Tensors | None] | None = None,
    ) -> AbstractContextManager[None]:
        """Call `before` with a submodule's tensor inputs and `after` with its tensor outputs.

        Inputs come in the order of forward's signature, whether passed by position or keyword;
        nested tuples, lists and dicts are flattened, what is not a tensor is passed over. A
        returned list replaces them. The model itself (module "") is observed too.
        """

    def dropout(
        self, model: Any, draw: Callable[[DropoutCall], Array]
    ) -> AbstractContextManager[None]:
        """Let every dropout keep what `draw` says: an array of bool of the call's shape.

        `draw` is called for inactive dropouts too; its answer is ignored there. Raises
        UnreachableDropout where a dropout happens inside a fused kernel.
        """

    def optimizer_state(self, model: Any, optimizer: Any) -> dict[str, dict[str, Array]]:
        """Per parameter name: "first_moment", "second_moment", "momentum", ... as they apply."""

    def optimizer_configuration(self, model: Any, optimizer: Any) -> dict[str, Any]:
        """`kind` ("adamw", "adam", "sgd", ...) and, where they apply: beta1, beta2, eps, momentum,
        nesterov, amsgrad, and `decay`: {parameter name: coefficient}."""

    def watch_updates(
        self,
        model: Any,
        optimizer: Any,
        on_update: Callable[["Applied"], None],
        given: Callable[[], Mapping[str, Array]] | None = None,
    ) -> AbstractContextManager[None]:
        """Call `on_update` each time the optimizer is about to apply its rule, after any clipping
        and with the learning rate that this update uses. The rule then gets the gradients that
        `given` returns, where it is there, in place of what was made of them."""


@dataclass(frozen=True)
class Applied:
    """What reached the optimizer's rule in one update.

    rates      per trainable parameter name, the learning rate (float64)
    gradients  reads the gradients as they stand behind all clipping
    """

    rates: Mapping[str, float]
    gradients: Callable[[], dict[str, Array]]


REQUIRED: Sequence[str] = tuple(name for name in vars(Adapter) if not name.startswith("_"))
