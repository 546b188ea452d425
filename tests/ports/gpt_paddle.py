"""The small GPT's candidate side, in PaddlePaddle: query, key and value apart."""

import math
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional
from paddle.nn.initializer import Constant, Normal
from paddle.optimizer import AdamW
from paddle.optimizer.lr import LambdaDecay

ADAPTER = "modelparity.adapters.paddle"

TOKENS, LONGEST, SIZE, HEADS = 24, 10, 16, 2
STD = 0.08
DEEP = STD / math.sqrt(6)  # of what ends in the residual stream; blocks run three times


class RMSNorm(nn.Layer):
    """Computes in float32 whatever it is given."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([SIZE], default_initializer=Constant(1.0))
        self.eps = 1e-5

    def forward(self, x):
        y = x.astype("float32")
        y = y * paddle.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return y.astype(x.dtype) * self.weight


def _linear(inputs, outputs, std=STD):
    return nn.Linear(inputs, outputs, weight_attr=Normal(std=std))


class Attention(nn.Layer):
    """Causal; (B, T, SIZE) to the same."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (_linear(SIZE, SIZE) for _ in range(3))
        self.out = _linear(SIZE, SIZE, DEEP)
        self.scale = (SIZE / HEADS) ** -0.5

    def heads(self, x):
        """(B, T, SIZE) to (B, HEADS, T, SIZE / HEADS)."""
        return x.reshape([*x.shape[:2], HEADS, -1]).transpose([0, 2, 1, 3])

    def allowed(self, length):
        """Whether a position (row) sees another (column)."""
        return paddle.tril(paddle.ones([length, length], dtype="bool"))

    def forward(self, x):
        query, key, value = (self.heads(part(x)) for part in (self.query, self.key, self.value))
        scores = paddle.matmul(query, key, transpose_y=True) * self.scale
        hidden = paddle.full_like(scores, -math.inf)
        weights = functional.softmax(paddle.where(self.allowed(x.shape[1]), scores, hidden))
        return self.out(paddle.matmul(weights, value).transpose([0, 2, 1, 3]).flatten(2))


class Block(nn.Layer):
    """Attention and a feed-forward layer, each behind a norm and beside a residual."""

    def __init__(self, rate):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(), RMSNorm()
        self.attention = Attention()
        self.fc, self.proj = _linear(SIZE, 4 * SIZE), _linear(4 * SIZE, SIZE, DEEP)
        self.drop = nn.Dropout(rate)

    def forward(self, x):
        x = x + self.drop(self.attention(self.norm1(x)))
        y = functional.gelu(self.fc(self.norm2(x)), approximate=True)
        return x + self.drop(self.proj(y))


class GPT(nn.Layer):
    """Token numbers (B, T) to logits (B, T, TOKENS); the head is tied to the embedding."""

    def __init__(self, rate):
        super().__init__()
        self.tokens = nn.Embedding(TOKENS, SIZE, weight_attr=Normal(std=STD))
        self.positions = nn.Embedding(LONGEST, SIZE, weight_attr=Normal(std=STD))
        self.first, self.loop = Block(rate), Block(rate)
        self.norm = RMSNorm()

    def head(self, x):
        """Scores of all tokens, by their embeddings."""
        return paddle.matmul(x, self.tokens.weight, transpose_y=True)

    def places(self, length):
        """The position numbers of a sequence."""
        return paddle.arange(length)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(self.places(ids.shape[1]))
        x = self.loop(self.loop(self.first(x)))
        return self.head(self.norm(x))


def _read(settings, split):
    lines = Path(settings["data"], f"{split}.txt").read_text(encoding="utf-8").splitlines()
    return [np.array(line.split(), np.int64) for line in lines]


def _batches(rows, size):
    for first in range(0, len(rows), size):
        group = rows[first : first + size]
        shape = len(group), max(len(row) for row in group) - 1
        batch = {"ids": np.zeros(shape, "i8"), "labels": np.full(shape, -100)}
        for number, row in enumerate(group):
            batch["ids"][number, : len(row) - 1] = row[:-1]
            batch["labels"][number, : len(row) - 1] = row[1:]
        yield {**batch, "mask": (batch["labels"] >= 0).astype("i8")}


def build_model(settings):
    return GPT(settings["dropout"])


def forward(model, batch):
    """Logits and loss; where the ignored label is below 0, Paddle's mean is over all positions."""
    logits, labels = model(batch["ids"]), batch["labels"]
    total = functional.cross_entropy(logits, labels, reduction="sum")
    return {"logits": logits, "loss": total / (labels >= 0).sum().astype(total.dtype)}


def training_batches(settings, epoch):
    rows = _read(settings, "train")
    order = np.random.default_rng((settings["seed"], epoch)).permutation(len(rows))
    return _batches([rows[number] for number in order], settings["batch_size"])


def evaluation_batches(settings, split):
    return _batches(_read(settings, split), settings["batch_size"])


@paddle.no_grad()
def evaluate(model, settings, split):
    """Loss and accuracy by token, over the whole split."""
    loss, chosen, wanted = 0.0, [], []
    for batch in _batches(_read(settings, split), settings["batch_size"]):
        logits, labels = model(paddle.to_tensor(batch["ids"])), paddle.to_tensor(batch["labels"])
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        active = batch["mask"].astype(bool)
        chosen.append(logits.argmax(-1).numpy()[active])
        wanted.append(batch["labels"][active])
    predicted, labels = np.concatenate(chosen), np.concatenate(wanted)
    return {
        "loss": loss / len(labels),
        "accuracy": float(np.mean(predicted == labels)),
        "predicted": predicted,
    }


def build_optimizer(model, settings, updates):
    """AdamW, matrices decaying; the rate rises linearly, then falls along a cosine to a tenth."""
    warmup, constant = settings["warmup"], settings["constant"]

    def factor(update):
        if update < warmup:
            return (update + 1) / (warmup + 1)
        done = min(1.0, update / max(1, updates))
        return 1.0 if constant else 0.55 + 0.45 * math.cos(math.pi * done)

    schedule = LambdaDecay(settings["learning_rate"], factor)
    matrices = {p.name for p in model.parameters() if p.ndim > 1}
    optimizer = AdamW(
        schedule,
        beta2=0.95,
        parameters=model.parameters(),
        weight_decay=settings["weight_decay"],
        apply_decay_param_fun=matrices.__contains__,
    )
    return optimizer, schedule


@paddle.no_grad()
def update(model, optimizer, schedule, settings):
    """Clip by the global norm, to which PyTorch adds 1e-6; update, advance."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = float(paddle.sqrt(sum(g.square().sum() for g in gradients)))
    scale = settings["max_norm"] / (norm + 1e-6)
    for gradient in gradients if scale < 1.0 else ():
        gradient.scale_(scale)
    optimizer.step()
    schedule.step()
