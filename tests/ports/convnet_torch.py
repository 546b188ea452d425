"""The convolutional net's reference side, in PyTorch."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR

ADAPTER = "modelparity.adapters.torch"

MEAN, STD = (0.5, 0.45, 0.4), (0.25, 0.225, 0.2)  # by channel


class Net(nn.Module):
    """Images (B, 3, 8, 8) to logits (B, 5)."""

    def __init__(self, rate):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.body = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=2, bias=False)
        self.norm3 = nn.BatchNorm2d(12)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(rate)
        self.head = nn.Linear(48, 5)

    def forward(self, image):
        x = functional.relu(self.norm1(self.stem(image)))
        x = functional.relu(x + self.norm2(self.body(x)))
        x = functional.relu(self.norm3(self.down(x)))  # (B, 12, 4, 4)
        return self.head(self.drop(self.pool(x).flatten(1)))


def _read(settings, split):
    with np.load(f"{settings['data']}/{split}.npz") as arrays:
        images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)  # from (B, 8, 8, 3)
        labels = torch.from_numpy(arrays["labels"])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (images.float() / 255 - mean) / std, labels


def _batches(arrays, size):
    images, labels = arrays
    for rows in torch.arange(len(labels)).split(size):
        yield {"image": images[rows].numpy(), "label": labels[rows].numpy()}


def build_model(settings):
    return Net(settings["dropout"])


def forward(model, batch):
    logits = model(batch["image"])
    return {"logits": logits, "loss": functional.cross_entropy(logits, batch["label"])}


def sample_batches(settings):
    images, labels = _read(settings, "dev")
    yield {"image": images[:4].numpy(), "label": labels[:4].numpy()}
    yield {"image": np.zeros((1, 3, 8, 8), np.float32), "label": np.array([4])}


def training_batches(settings, epoch):
    """Shuffled; half of the images mirrored."""
    images, labels = _read(settings, "train")
    rng = np.random.default_rng((settings["seed"], epoch))
    order = torch.from_numpy(rng.permutation(len(labels)))
    mirrored = torch.from_numpy(rng.random(len(labels)) < 0.5)
    images = torch.where(mirrored.view(-1, 1, 1, 1), images[order].flip(3), images[order])
    return _batches((images, labels[order]), settings["batch_size"])


def evaluation_batches(settings, split):
    return _batches(_read(settings, split), settings["batch_size"])


@torch.no_grad()
def evaluate(model, settings, split):
    images, labels = _read(settings, split)
    logits = model(images.to(model.head.weight.dtype))
    predicted = logits.argmax(dim=1)
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": (predicted == labels).double().mean().item(),
        "predicted": predicted.numpy(),
    }


def build_optimizer(model, settings, updates):
    """Gradient descent with momentum; the rate falls to a tenth half way, and again at 3/4."""
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    optimizer = SGD(model.parameters(), rate, momentum=0.9, weight_decay=decay)
    half = updates // 2
    milestones = [] if settings["constant"] else [half, half + max(1, updates // 4)]
    return optimizer, MultiStepLR(optimizer, milestones, gamma=0.1)


def update(model, optimizer, schedule, settings):  # noqa: ARG001
    optimizer.step()
    schedule.step()
