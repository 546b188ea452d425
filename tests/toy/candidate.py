"""The port: transposed kernels, other names, both heads fused; everything else by its own code."""

from pathlib import Path

import numpy as np

from toy import framework as fw

ADAPTER = "toy.adapter"


class Dense(fw.Module):
    """x @ kernel + bias, kernel (in, out)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        drawn = fw.RNG.normal(0.0, 0.3, (inputs, outputs)).astype(np.float32)
        self.params = {"kernel": drawn, "bias": np.zeros(outputs, np.float32)}

    def forward(self, x):
        self.caches.append(x)
        return np.matmul(x, self.params["kernel"]) + self.params["bias"]

    def backward(self, dy):
        x = self.caches.pop()
        axes = list(range(dy.ndim - 1))
        self.accumulate("kernel", np.tensordot(x, dy, (axes, axes)))
        self.accumulate("bias", dy.reshape(-1, dy.shape[-1]).sum(0))
        return np.matmul(dy, self.params["kernel"].T)


class Table(fw.Module):
    def __init__(self, rows, width):
        super().__init__()
        self.params = {"table": fw.RNG.normal(0.0, 1.0, (rows, width)).astype(np.float32)}

    def forward(self, ids):
        self.caches.append(ids)
        return np.take(self.params["table"], ids, axis=0)

    def backward(self, dy):
        ids = self.caches.pop().reshape(-1)
        gradient = np.zeros_like(self.params["table"])
        for row, d in zip(ids, dy.reshape(len(ids), -1), strict=True):
            gradient[row] += d
        self.accumulate("table", gradient)


class Float32Norm(fw.LayerNorm):
    def forward(self, x):
        return fw.LayerNorm.forward(self, np.asarray(x, np.float32)).astype(x.dtype)


class Port(fw.Module):
    def __init__(self, settings):
        super().__init__()
        norm = Float32Norm if settings["float32_norm"] else fw.LayerNorm
        self.embed, self.mixer, self.act = Table(16, 8), Dense(8, 8), fw.Tanh()
        self.norm, self.drop, self.both = norm(8), fw.Dropout(settings["rate"]), Dense(8, 3)
        self.children = {
            "embed": self.embed,
            "mixer": self.mixer,
            "act": self.act,
            "norm": self.norm,
            "drop": self.drop,
            "both": self.both,
        }

    def forward(self, ids, mask, label):
        x = self.embed(ids)
        x = x + self.act(self.mixer(x))
        x = x + self.act(self.mixer(x))
        share = mask / mask.sum(axis=1)[:, None]
        pooled = np.einsum("btd,bt->bd", x, share)
        logits = self.both(self.drop(self.norm(pooled)))
        top = logits.max(axis=-1)
        log_sum = top + np.log(np.sum(np.exp(logits - top[:, None]), axis=-1))
        chosen = np.take_along_axis(logits, label[:, None], axis=1)[:, 0]
        loss = fw.Loss(np.mean(log_sum - chosen))
        loss.backward = lambda: self.gradient(logits, log_sum, label, share)
        return {"pooled": pooled, "logits": logits, "loss": loss}

    def gradient(self, logits, log_sum, label, share):
        one_hot = np.eye(logits.shape[1], dtype=logits.dtype)[label]
        d = (np.exp(logits - log_sum[:, None]) - one_hot) / len(label)
        d = self.norm.backward(self.drop.backward(self.both.backward(d)))
        d = np.einsum("bd,bt->btd", d, share)
        d = d + self.mixer.backward(self.act.backward(d))
        d = d + self.mixer.backward(self.act.backward(d))
        self.embed.backward(d)


class Optimizer:
    def __init__(self, model, settings):
        self.model, self.lr, self.rate = model, settings["learning_rate"], 0.0
        self.coefficient, self.betas, self.eps = settings["weight_decay"], (0.9, 0.999), 1e-8
        self.count, self.state, self.watchers = 0, {}, []

    def decay_of(self, name):
        return self.coefficient if name.endswith(("kernel", "table")) else 0.0

    def apply(self):
        for tell in self.watchers:
            tell()
        self.count += 1
        for path, module in self.model.modules():
            for key in module.grads:
                self.one(f"{path}.{key}", module, key)

    def one(self, name, module, key):
        g, p = module.grads[key], module.params[key]
        old = self.state.get(name) or {"first_moment": 0.0 * p, "second_moment": 0.0 * p}
        m = old["first_moment"] * self.betas[0] + g * (1 - self.betas[0])
        v = old["second_moment"] * self.betas[1] + g * g * (1 - self.betas[1])
        self.state[name] = {"first_moment": m, "second_moment": v}
        fixed = np.sqrt(v / (1 - self.betas[1] ** self.count)) + self.eps
        p = p - self.rate * self.decay_of(name) * p
        p = p - self.rate * (m / (1 - self.betas[0] ** self.count)) / fixed
        module.params[key] = p.astype(g.dtype)


class Rates:
    def __init__(self, optimizer, updates, settings):
        self.optimizer, self.updates, self.now = optimizer, updates, 0
        self.warmup, self.constant = settings["warmup"], settings["constant"]
        optimizer.rate = optimizer.lr * self.at(0)

    def at(self, k):
        if self.warmup > k:
            return k / self.warmup
        if self.constant:
            return 1.0
        left = self.updates - k
        return left / (self.updates - self.warmup) if left > 0 else 0.0

    def advance(self):
        self.now += 1
        self.optimizer.rate = self.optimizer.lr * self.at(self.now)


def _examples(settings, split):
    with Path(settings["data"], f"{split}.txt").open() as stream:
        for line in stream:
            label, *tokens = map(int, line.split())
            yield label, tokens[: settings["longest"]]


def _stack(examples):
    width = max(len(tokens) for _, tokens in examples)
    padded = [tokens + [0] * (width - len(tokens)) for _, tokens in examples]
    present = [[1.0] * len(t) + [0.0] * (width - len(t)) for _, t in examples]
    return {
        "ids": np.array(padded),
        "mask": np.array(present, np.float32),
        "label": np.array([label for label, _ in examples]),
    }


def _chunks(examples):
    return (_stack(examples[i : i + 16]) for i in range(0, len(examples), 16))


def build_model(settings):
    return Port(settings)


def forward(model, batch):
    return model(batch["ids"], batch["mask"], batch["label"])


def evaluation_batches(settings, split):
    return _chunks(list(_examples(settings, split)))


def training_batches(settings, epoch):
    examples = list(_examples(settings, "train"))
    shuffled = np.random.default_rng([settings["seed"], epoch]).permutation(len(examples))
    return _chunks([examples[i] for i in shuffled])


def evaluate(model, settings, split):
    losses, hits, said = [], [], []
    for batch in _chunks(list(_examples(settings, split))):
        mask = batch["mask"].astype(model.mixer.params["kernel"].dtype)
        out = model(batch["ids"], mask, batch["label"])
        best = np.argmax(out["logits"], axis=-1)
        said.extend(best)
        hits.extend(best == batch["label"])
        losses.append((float(out["loss"]), len(best)))
    number = sum(n for _, n in losses)
    mean = sum(loss * n for loss, n in losses) / number
    return {"loss": mean, "accuracy": sum(hits) / number, "predictions": np.array(said)}


def build_optimizer(model, settings, updates):
    optimizer = Optimizer(model, settings)
    return optimizer, Rates(optimizer, updates, settings)


def update(model, optimizer, schedule, settings):
    found = [(m, k) for _, m in model.modules() for k in m.grads]
    squares = sum(np.sum(m.grads[k].astype(np.float64) ** 2) for m, k in found)
    factor = settings["max_norm"] / (np.sqrt(squares) + 1e-6)
    if factor < 1.0:
        for m, k in found:
            m.grads[k] = (m.grads[k] * factor).astype(m.grads[k].dtype)
    optimizer.apply()
    schedule.advance()
