# mypy: allow-subclassing-any
"""AdamW, its learning rates and one update."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.optimizer import AdamW as FusedAdamW
from paddle.optimizer.lr import LambdaDecay

from jointbert.in_paddle.strides import views

BETAS = (0.9, 0.999)  # Kingma and Ba, 2015, arXiv 1412.6980
UNDECAYED = ("bias", "LayerNorm.weight")  # ends of names: as BERT was trained
BLOCK = 1 << 18  # elements that are updated at once
NORM_EPSILON = 1e-6  # torch.nn.utils.clip_grad_norm_ adds it to the norm


class AdamW(FusedAdamW):
    """Paddle's AdamW, whose own kernel is replaced because it rounds the coefficients.

    In float32 the kernel computes 1 - 0.999 from the rounded 0.999, which leaves every second
    moment 1.3e-5 off, a hundred times float32's resolution; powers of the betas lose digits
    likewise, and a decay of 0.01 is 2.2e-8 off even in float64. Here coefficients are Python's
    floats, as in torch.
    """

    def _add_moments_pows(self, p: Tensor) -> None:
        for name in (self._moment1_acc_str, self._moment2_acc_str):
            self._add_accumulator(name, p, dtype=p.dtype)
        for name, beta in (
            (self._beta1_pow_acc_str, self._beta1),
            (self._beta2_pow_acc_str, self._beta2),
        ):
            self._add_accumulator(
                name, p, dtype="float64", fill_value=beta, shape=[1], device="cpu"
            )

    def moments(self, p: Tensor) -> dict[str, Tensor]:
        """The state kept for a parameter, by kind; empty before the first update."""
        found = self._accumulators
        return {kind: found[kind][p.name] for kind in found if p.name in found[kind]}

    def set_moments(self, p: Tensor, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Put back what `moments` gave."""
        self._add_moments_pows(p)
        self._already_create_accumulator.add(p.name)
        for kind, array in arrays.items():
            self._accumulators[kind][p.name].set_value(array)

    def _append_optimize_op(self, block: object, param_and_grad: tuple[Tensor, Tensor]) -> None:
        p, gradient = param_and_grad
        first = self._get_accumulator(self._moment1_acc_str, p)
        second = self._get_accumulator(self._moment2_acc_str, p)
        power1 = self._get_accumulator(self._beta1_pow_acc_str, p)  # beta1 ** number of the update
        power2 = self._get_accumulator(self._beta2_pow_acc_str, p)
        rate, beta1, beta2 = self.get_lr(), self._beta1, self._beta2
        step, factor = -rate / (1.0 - power1.item()), (1.0 - power2.item()) ** -0.5
        decay = self._weight_decay if self._apply_decay_param_fun(p.name) else 0.0
        for part, grad, mean, square in _blocks(p, gradient, first, second):
            if decay:
                part.scale_(1.0 - rate * decay)
            mean.scale_(beta1).add_(grad.scale(1.0 - beta1))
            square.scale_(beta2).add_(grad.square().scale_(1.0 - beta2))
            divisor = square.sqrt().scale_(factor, bias=self._epsilon)
            part.add_(mean.divide(divisor).scale_(step))
        power1.scale_(beta1)
        power2.scale_(beta2)


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of tensors of one shape: whole ones, or some rows at a time where they are large.

    Temporary arrays of a block stay in the cache and in Paddle's pool; those of all word embeddings
    are fetched from the system each time, which costs more than the arithmetic.
    """
    shape = tensors[0].shape
    if len(shape) < 2 or tensors[0].size <= BLOCK:
        yield tensors
        return
    rows = max(1, BLOCK * shape[0] // tensors[0].size)
    for start in range(0, shape[0], rows):
        yield tuple(tensor[start : start + rows] for tensor in tensors)


def build_optimizer(
    model: nn.Layer, settings: Mapping[str, Any], updates: int
) -> tuple[AdamW, LambdaDecay]:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) and its schedule.

    The rate rises linearly from 0 over `warmup_steps`; then it stays, or falls linearly to 0 at
    `updates` and remains there. Biases and LayerNorm weights do not decay: the optimizer is asked
    by Paddle's generated names, and all parameters stay in one group, since Paddle would treat
    groups apart.
    """
    decayed = {p.name for name, p in model.named_parameters() if not name.endswith(UNDECAYED)}
    warmup, constant = int(settings["warmup_steps"]), settings["schedule"] == "constant"

    def factor(update: int) -> float:
        if update < warmup:
            return update / max(1, warmup)
        return 1.0 if constant else max(0.0, (updates - update) / max(1, updates - warmup))

    schedule = LambdaDecay(settings["learning_rate"], factor)
    optimizer = AdamW(
        learning_rate=schedule,
        beta1=BETAS[0],
        beta2=BETAS[1],
        epsilon=settings["adam_epsilon"],
        parameters=model.parameters(),
        weight_decay=settings["weight_decay"],
        apply_decay_param_fun=decayed.__contains__,
    )
    return optimizer, schedule


def update(
    model: nn.Layer, optimizer: AdamW, schedule: LambdaDecay, settings: Mapping[str, Any]
) -> None:
    """One update from the gradients that the parameters hold.

    All gradients together are scaled down to a norm of `max_grad_norm` where theirs is larger.
    """
    with views(True):
        clip_gradients(model.parameters(), settings["max_grad_norm"])
        optimizer.step()
    schedule.step()


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients in place to a global norm of at most `max_norm`; their norm before.

    Only the last axis is summed in the gradients' own precision, the rest in float64: the
    frameworks' own float32 norms of large gradients differ by up to 1e-2.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    with paddle.no_grad():
        squares = [_squares(part).sum() for g in gradients for (part,) in _blocks(g)]
        norm = float(paddle.sqrt(paddle.add_n(squares))) if squares else 0.0
        scale = max_norm / (norm + NORM_EPSILON)
        if scale < 1.0:
            for gradient in gradients:
                gradient.scale_(scale)
    return norm


def _squares(gradient: Tensor) -> Tensor:
    """The sum of squares of each row, in float64."""
    # By a matrix product: Paddle's own sum over an axis takes ten times as long.
    rows = gradient.square().reshape([-1, gradient.shape[-1]])
    return paddle.mv(rows, paddle.ones([rows.shape[1]], rows.dtype)).astype("float64")
