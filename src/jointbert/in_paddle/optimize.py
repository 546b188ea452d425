# mypy: allow-subclassing-any
"""AdamW, its learning rates and one update."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from paddle import Tensor, nn
from paddle.optimizer import AdamW as FusedAdamW
from paddle.optimizer.lr import LambdaDecay

from jointbert.in_paddle.kernels import adamw, memory, scale, sum_of_squares
from jointbert.in_paddle.threads import each

Array = np.ndarray[Any, Any]

BETAS = (0.9, 0.999)  # Kingma and Ba, 2015, arXiv 1412.6980
UNDECAYED = ("bias", "LayerNorm.weight")  # ends of names: as BERT was trained
NORM_EPSILON = 1e-6  # torch.nn.utils.clip_grad_norm_ adds it to the norm


class AdamW(FusedAdamW):
    """Paddle's AdamW, whose own kernel is replaced because it rounds the coefficients.

    In float32 the kernel computes 1 - 0.999 from the rounded 0.999, which leaves every second
    moment 1.3e-5 off, a hundred times float32's resolution; powers of the betas lose digits
    likewise, and a decay of 0.01 is 2.2e-8 off even in float64. Here coefficients are worked out in
    Python's floats and rounded once, as in torch; and one pass over memory takes a third of the
    kernel's time.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting: list[tuple[Tensor, Tensor]] = []  # parameters of one step, gradients

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

    def set_moments(self, p: Tensor, arrays: Mapping[str, Array]) -> None:
        """Put back what `moments` gave."""
        self._add_moments_pows(p)
        self._already_create_accumulator.add(p.name)
        for kind, array in arrays.items():
            self._accumulators[kind][p.name].set_value(array)

    def _append_optimize_op(self, block: object, param_and_grad: tuple[Tensor, Tensor]) -> None:
        self._waiting.append(param_and_grad)

    def _finish_update(self, block: object, parameters_and_grads: object) -> None:
        pairs, self._waiting = self._waiting, []
        each(self._update, pairs)

    def _update(self, pair: tuple[Tensor, Tensor]) -> None:
        p, gradient = pair
        mean = self._memory(self._moment1_acc_str, p)
        square = self._memory(self._moment2_acc_str, p)
        power1 = self._memory(self._beta1_pow_acc_str, p)  # beta1 ** number of the update
        power2 = self._memory(self._beta2_pow_acc_str, p)
        rate, beta1, beta2 = self.get_lr(), self._beta1, self._beta2
        decay = self._weight_decay if self._apply_decay_param_fun(p.name) else 0.0
        step, factor = -rate / (1.0 - float(power1[0])), (1.0 - float(power2[0])) ** -0.5
        numbers = (1.0 - rate * decay, beta1, 1.0 - beta1, beta2, 1.0 - beta2, step, factor)
        rounded = map(mean.dtype.type, (*numbers, self._epsilon))
        adamw(memory(p), memory(gradient.contiguous()), mean, square, *rounded)
        power1 *= beta1
        power2 *= beta2

    def _memory(self, kind: str, p: Tensor) -> Array:
        return memory(self._get_accumulator(kind, p))


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
    clip_gradients(model.parameters(), settings["max_grad_norm"])
    optimizer.step()
    schedule.step()


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients in place to a global norm of at most `max_norm`; their norm before.

    The norm is summed in float64: the frameworks' own float32 norms of large gradients differ by up
    to 1e-2.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    squares = each(lambda gradient: sum_of_squares(memory(gradient.contiguous())), gradients)
    norm = math.sqrt(math.fsum(squares))  # exact, whatever the order
    factor = max_norm / (norm + NORM_EPSILON)
    if factor < 1.0:
        each(lambda gradient: _scale(gradient, factor), gradients)
    return norm


def _scale(gradient: Tensor, factor: float) -> None:
    if gradient.is_contiguous():
        array = memory(gradient)
        scale(array, array.dtype.type(factor))
    else:
        gradient.scale_(factor)
