"""The candidate side: the same classifier in PaddlePaddle."""

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional
from paddle.nn.initializer import Uniform
from paddle.optimizer import Momentum
from paddle.optimizer.lr import StepDecay

ADAPTER = "modelparity.adapters.paddle"

NORM = {"momentum": 0.9, "epsilon": 1e-5}  # the share of the old; PyTorch's is of the new
MOMENTUM = 0.9


class BatchNorm(nn.BatchNorm2D):
    """Averages the unbiased variance of batches, as PyTorch does; Paddle takes the biased one."""

    def forward(self, x):
        """As its parent; in training with other running statistics."""
        before = self._variance.clone()
        y = super().forward(x)
        if self.training:
            kept, count = self._momentum * before, x.size // x.shape[1]
            self._variance.set_value(kept + (self._variance - kept) * (count / (count - 1)))
        return y


def _uniform(inputs):
    """PyTorch's initialiser of convolutions and linear layers; Paddle's are others."""
    return Uniform(-(inputs**-0.5), inputs**-0.5)


class Net(nn.Layer):
    """Images (B, 8, 8) to logits (B, 10)."""

    def __init__(self, rate):
        super().__init__()
        self.conv1 = nn.Conv2D(1, 8, 3, 1, 1, weight_attr=_uniform(9), bias_attr=False)
        self.norm1 = BatchNorm(8, **NORM)
        self.conv2 = nn.Conv2D(8, 16, 3, 2, 1, weight_attr=_uniform(72), bias_attr=False)
        self.norm2 = BatchNorm(16, **NORM)
        self.drop = nn.Dropout(rate)
        self.head = nn.Linear(256, 10, _uniform(256), _uniform(256))

    def forward(self, image):
        """The logits."""
        x = functional.silu(self.norm1(self.conv1(image.unsqueeze(1))))
        x = functional.silu(self.norm2(self.conv2(x)))  # (B, 16, 4, 4)
        return self.head(self.drop(x.flatten(1)))


def _read(settings, split):
    pixels = np.load(f"{settings['data']}/{split}.images.npy").astype(np.float32)
    labels = np.load(f"{settings['data']}/{split}.labels.npy")
    return pixels / np.float32(127.5) - np.float32(1.0), labels


def _batches(settings, split, order=None):
    images, labels = _read(settings, split)
    order = np.arange(len(labels)) if order is None else order
    for first in range(0, len(order), settings["batch_size"]):
        rows = order[first : first + settings["batch_size"]]
        yield {"image": images[rows], "label": labels[rows]}


def build_model(settings):
    """The network with PyTorch's initialisers."""
    return Net(settings["dropout"])


def forward(model, batch):
    """Logits and loss."""
    logits = model(batch["image"])
    return {"logits": logits, "loss": functional.cross_entropy(logits, batch["label"])}


def training_batches(settings, epoch):
    """The epoch's batches, shuffled by seed and epoch."""
    count = len(_read(settings, "train")[1])
    order = np.random.default_rng([settings["seed"], epoch]).permutation(count)
    return _batches(settings, "train", order)


def evaluation_batches(settings, split):
    """The split's batches."""
    return _batches(settings, split)


@paddle.no_grad()
def evaluate(model, settings, split):
    """Loss, accuracy and every decision."""
    images, labels = map(paddle.to_tensor, _read(settings, split))
    logits = model(images.astype(model.head.weight.dtype))
    predicted = logits.argmax(axis=1)
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": float(np.mean(predicted.numpy() == labels.numpy())),
        "predicted": predicted.numpy(),
    }


def build_optimizer(model, settings, updates):
    """Gradient descent with momentum; the rate halves after each third."""
    schedule = StepDecay(settings["learning_rate"], max(1, updates // 3), gamma=0.5)
    decay = settings["weight_decay"]
    return Momentum(schedule, MOMENTUM, model.parameters(), weight_decay=decay), schedule


@paddle.no_grad()
def update(model, optimizer, schedule, settings):
    """Clip by the global norm as PyTorch does, with 1e-6 added to it; update, advance."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = paddle.sqrt(sum(g.square().sum() for g in gradients))
    scale = settings["max_norm"] / (float(norm) + 1e-6)
    for gradient in gradients if scale < 1.0 else ():
        gradient.scale_(scale)
    optimizer.step()
    schedule.step()
