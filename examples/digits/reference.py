"""The reference side: a small convolutional classifier in PyTorch."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

ADAPTER = "modelparity.adapters.torch"

NORM = {"momentum": 0.1, "eps": 1e-5}  # the share of the new
MOMENTUM = 0.9


class Net(nn.Module):
    """Images (B, 8, 8) to logits (B, 10)."""

    def __init__(self, rate):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(8, **NORM)
        self.conv2 = nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(16, **NORM)
        self.drop = nn.Dropout(rate)
        self.head = nn.Linear(256, 10)

    def forward(self, image):
        """The logits."""
        x = functional.silu(self.norm1(self.conv1(image[:, None])))
        x = functional.silu(self.norm2(self.conv2(x)))  # (B, 16, 4, 4)
        return self.head(self.drop(x.flatten(1)))


def _read(settings, split):
    images = torch.from_numpy(np.load(f"{settings['data']}/{split}.images.npy"))
    labels = torch.from_numpy(np.load(f"{settings['data']}/{split}.labels.npy"))
    return images.float() / 127.5 - 1.0, labels


def _batches(settings, split, order=None):
    images, labels = _read(settings, split)
    order = torch.arange(len(labels)) if order is None else order
    for rows in order.split(settings["batch_size"]):
        yield {"image": images[rows].numpy(), "label": labels[rows].numpy()}


def build_model(settings):
    """The network with PyTorch's own initialisers."""
    return Net(settings["dropout"])


def forward(model, batch):
    """Logits and loss."""
    logits = model(batch["image"])
    return {"logits": logits, "loss": functional.cross_entropy(logits, batch["label"])}


def sample_batches(settings):
    """Four images; then a single blank one."""
    images, labels = _read(settings, "dev")
    yield {"image": images[:4].numpy(), "label": labels[:4].numpy()}
    yield {"image": np.full((1, 8, 8), -1.0, np.float32), "label": np.array([9])}


def training_batches(settings, epoch):
    """The epoch's batches, shuffled by seed and epoch."""
    rows = np.arange(len(_read(settings, "train")[1]))
    np.random.default_rng([settings["seed"], epoch]).shuffle(rows)
    return _batches(settings, "train", torch.from_numpy(rows))


def evaluation_batches(settings, split):
    """The split's batches."""
    return _batches(settings, split)


@torch.no_grad()
def evaluate(model, settings, split):
    """Loss, accuracy and every decision."""
    images, labels = _read(settings, split)
    logits = model(images.to(model.head.weight.dtype))
    predicted = logits.argmax(dim=1)
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": (predicted == labels).double().mean().item(),
        "predicted": predicted.numpy(),
    }


def build_optimizer(model, settings, updates):
    """Gradient descent with momentum; the rate halves after each third."""
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    optimizer = SGD(model.parameters(), rate, momentum=MOMENTUM, weight_decay=decay)
    return optimizer, StepLR(optimizer, max(1, updates // 3), gamma=0.5)


def update(model, optimizer, schedule, settings):
    """Clip by the global norm, update, advance."""
    nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
    optimizer.step()
    schedule.step()
