"""The convolutional net's candidate side: the same net in PaddlePaddle."""

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional
from paddle.nn.initializer import Uniform
from paddle.optimizer import Momentum
from paddle.optimizer.lr import MultiStepDecay

ADAPTER = "modelparity.adapters.paddle"

MEAN, STD = (0.5, 0.45, 0.4), (0.25, 0.225, 0.2)  # by channel


class BatchNorm(nn.BatchNorm2D):
    """With the unbiased variance in the running statistics, as in PyTorch; Paddle's is biased.

    Paddle's momentum, 0.9, is the share of the old statistics: PyTorch's 0.1.
    """

    def forward(self, x):
        kept = self._momentum * self._variance if self.training else None
        y = super().forward(x)
        if kept is not None:
            count = x.size / x.shape[1]
            self._variance.set_value(kept + (self._variance - kept) * count / (count - 1))
        return y


def _drawn(inputs):
    """PyTorch's initialiser, of weights and biases alike."""
    return Uniform(-(inputs**-0.5), inputs**-0.5)


class Net(nn.Layer):
    """Images (B, 3, 8, 8) to logits (B, 5)."""

    def __init__(self, rate):
        super().__init__()
        plain = {"padding": 1, "bias_attr": False}
        self.stem = nn.Conv2D(
            3, 8, 3, padding_mode="reflect", weight_attr=_drawn(27), padding=1, bias_attr=False
        )
        self.norm1 = BatchNorm(8)
        self.body = nn.Conv2D(8, 8, 3, weight_attr=_drawn(72), **plain)
        self.norm2 = BatchNorm(8)
        self.down = nn.Conv2D(8, 12, 3, stride=2, groups=2, weight_attr=_drawn(36), **plain)
        self.norm3 = BatchNorm(12)
        self.pool = nn.MaxPool2D(2)
        self.drop = nn.Dropout(rate)
        self.head = nn.Linear(48, 5, _drawn(48), _drawn(48))

    def forward(self, image):
        x = functional.relu(self.norm1(self.stem(image)))
        x = functional.relu(x + self.norm2(self.body(x)))
        x = functional.relu(self.norm3(self.down(x)))  # (B, 12, 4, 4)
        return self.head(self.drop(self.pool(x).flatten(1)))


def _read(settings, split):
    with np.load(f"{settings['data']}/{split}.npz") as arrays:
        pixels, labels = arrays["images"].astype(np.float32), arrays["labels"]
    scaled = (pixels / np.float32(255) - np.array(MEAN, "f4")) / np.array(STD, "f4")
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)), labels


def _batches(arrays, size):
    images, labels = arrays
    for first in range(0, len(labels), size):
        yield {"image": images[first : first + size], "label": labels[first : first + size]}


def build_model(settings):
    return Net(settings["dropout"])


def forward(model, batch):
    logits = model(batch["image"])
    return {"logits": logits, "loss": functional.cross_entropy(logits, batch["label"])}


def training_batches(settings, epoch):
    """Shuffled; half of the images mirrored."""
    images, labels = _read(settings, "train")
    rng = np.random.default_rng((settings["seed"], epoch))
    order = rng.permutation(len(labels))
    images, mirrored = images[order], rng.random(len(labels)) < 0.5
    images[mirrored] = images[mirrored][..., ::-1]
    return _batches((images, labels[order]), settings["batch_size"])


def evaluation_batches(settings, split):
    return _batches(_read(settings, split), settings["batch_size"])


@paddle.no_grad()
def evaluate(model, settings, split):
    images, labels = map(paddle.to_tensor, _read(settings, split))
    logits = model(images.astype(model.head.weight.dtype))
    predicted = logits.argmax(axis=1).numpy()
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": float(np.mean(predicted == labels.numpy())),
        "predicted": predicted,
    }


def build_optimizer(model, settings, updates):
    """Gradient descent with momentum; the rate falls to a tenth half way, and again at 3/4."""
    half = updates // 2
    milestones = [] if settings["constant"] else [half, half + max(1, updates // 4)]
    schedule = MultiStepDecay(settings["learning_rate"], milestones, gamma=0.1)
    decay = settings["weight_decay"]
    return Momentum(schedule, 0.9, model.parameters(), weight_decay=decay), schedule


def update(model, optimizer, schedule, settings):  # noqa: ARG001
    optimizer.step()
    schedule.step()
