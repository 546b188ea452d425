"""AdamW, its learning rates and one update."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

BETAS = (0.9, 0.999)  # Kingma and Ba, 2015, arXiv 1412.6980
UNDECAYED = ("bias", "LayerNorm.weight")  # ends of names: as BERT was trained


def build_optimizer(
    model: nn.Module, settings: Mapping[str, Any], updates: int
) -> tuple[AdamW, LambdaLR]:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) and its schedule.

    The rate rises linearly from 0 over `warmup_steps`; then it stays, or falls linearly to 0 at
    `updates` and remains there. Biases and LayerNorm weights do not decay.
    """
    decayed = [p for name, p in model.named_parameters() if not name.endswith(UNDECAYED)]
    undecayed = [p for name, p in model.named_parameters() if name.endswith(UNDECAYED)]
    optimizer = AdamW(
        [
            {"params": decayed, "weight_decay": settings["weight_decay"]},
            {"params": undecayed, "weight_decay": 0.0},
        ],
        lr=settings["learning_rate"],
        betas=BETAS,
        eps=settings["adam_epsilon"],
        fused=True,  # one pass over each parameter
    )
    if settings["schedule"] == "constant":
        return optimizer, get_constant_schedule_with_warmup(optimizer, settings["warmup_steps"])
    return optimizer, get_linear_schedule_with_warmup(optimizer, settings["warmup_steps"], updates)


def update(
    model: nn.Module, optimizer: AdamW, schedule: LambdaLR, settings: Mapping[str, Any]
) -> None:
    """One update from the gradients that the parameters hold.

    All gradients together are scaled down to a norm of `max_grad_norm` where theirs is larger.
    """
    clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
    optimizer.step()
    schedule.step()
