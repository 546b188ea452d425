"""The small GPT's reference side, in PyTorch: query, key and value fused."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

ADAPTER = "modelparity.adapters.torch"

TOKENS, LONGEST, SIZE, HEADS = 24, 10, 16, 2
STD = 0.08
LAYERS = 3  # runs of a block: the second block runs twice


class RMSNorm(nn.Module):
    """Computes in float32 whatever it is given, as many language models do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(SIZE))
        self.eps = 1e-5

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return y.to(x.dtype) * self.weight


class Attention(nn.Module):
    """Causal, with the three projections in one; (B, T, SIZE) to the same."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(SIZE, 3 * SIZE)
        self.out = nn.Linear(SIZE, SIZE)

    def forward(self, x):
        fused = self.qkv(x).unflatten(-1, (3, HEADS, -1))  # (B, T, 3, HEADS, SIZE / HEADS)
        query, key, value = fused.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a norm and beside a residual."""

    def __init__(self, rate):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(), RMSNorm()
        self.attention = Attention()
        self.fc = nn.Linear(SIZE, 4 * SIZE)
        self.proj = nn.Linear(4 * SIZE, SIZE)
        self.drop = nn.Dropout(rate)

    def forward(self, x):
        x = x + self.drop(self.attention(self.norm1(x)))
        y = functional.gelu(self.fc(self.norm2(x)), approximate="tanh")
        return x + self.drop(self.proj(y))


class GPT(nn.Module):
    """Token numbers (B, T) to logits (B, T, TOKENS); the head is tied to the embedding."""

    def __init__(self, rate):
        super().__init__()
        self.tokens = nn.Embedding(TOKENS, SIZE)
        self.positions = nn.Embedding(LONGEST, SIZE)
        self.first, self.loop = Block(rate), Block(rate)
        self.norm = RMSNorm()
        self.head = nn.Linear(SIZE, TOKENS, bias=False)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() > 1:
                deep = name.endswith(("out.weight", "proj.weight"))
                nn.init.normal_(parameter, std=STD / math.sqrt(2 * LAYERS) if deep else STD)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        x = self.loop(self.loop(self.first(x)))
        return self.head(self.norm(x))


def _batch(rows):
    """Tokens, the next tokens (-100 at padding), and which positions are tokens."""
    longest = max(map(len, rows)) - 1
    padded = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row) for row in rows], batch_first=True, padding_value=-100
    )
    ids, labels = padded[:, :longest], padded[:, 1:]
    ids = torch.where(labels == -100, 0, ids)
    return {
        "ids": ids.numpy(),
        "labels": labels.numpy(),
        "mask": (labels != -100).long().numpy(),
    }


def _read(settings, split):
    lines = Path(settings["data"], f"{split}.txt").read_text(encoding="utf-8").splitlines()
    return [list(map(int, line.split())) for line in lines]


def _batches(rows, size):
    return (_batch(rows[first : first + size]) for first in range(0, len(rows), size))


def build_model(settings):
    return GPT(settings["dropout"])


def forward(model, batch):
    logits = model(batch["ids"])
    loss = functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    return {"logits": logits, "loss": loss}


def sample_batches(settings):
    """Three lengths; a single pair of tokens."""
    rows = sorted(_read(settings, "dev"), key=len)
    yield _batch([rows[0], rows[-1], rows[len(rows) // 2]])
    yield _batch([rows[-1][:2]])


def training_batches(settings, epoch):
    rows = _read(settings, "train")
    order = np.random.default_rng((settings["seed"], epoch)).permutation(len(rows))
    return _batches([rows[number] for number in order], settings["batch_size"])


def evaluation_batches(settings, split):
    return _batches(_read(settings, split), settings["batch_size"])


@torch.no_grad()
def evaluate(model, settings, split):
    """Loss and accuracy by token, over the whole split."""
    loss, right, count, predicted = 0.0, 0, 0, []
    for batch in _batches(_read(settings, split), settings["batch_size"]):
        logits, labels = model(torch.from_numpy(batch["ids"])), torch.from_numpy(batch["labels"])
        loss += functional.cross_entropy(logits.mT, labels, reduction="sum").item()
        chosen, active = logits.argmax(-1), labels != -100
        right += int((chosen == labels)[active].sum())
        count += int(active.sum())
        predicted.append(chosen[active].numpy())
    return {
        "loss": loss / count,
        "accuracy": right / count,
        "predicted": np.concatenate(predicted),
    }


def build_optimizer(model, settings, updates):
    """AdamW, matrices decaying; the rate rises linearly, then falls along a cosine to a tenth."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    decay, rate = settings["weight_decay"], settings["learning_rate"]
    optimizer = AdamW(groups, rate, betas=(0.9, 0.95), eps=1e-8, weight_decay=decay)

    def factor(update):
        if update < settings["warmup"]:
            return (update + 1) / (settings["warmup"] + 1)
        done = min(1.0, update / max(1, updates))
        return 1.0 if settings["constant"] else 0.55 + 0.45 * math.cos(math.pi * done)

    return optimizer, LambdaLR(optimizer, factor)


def update(model, optimizer, schedule, settings):
    nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
    optimizer.step()
    schedule.step()
