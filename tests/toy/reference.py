"""The reference: embedding, a mixer that runs twice, mean over tokens, norm, two heads in one."""

from pathlib import Path

import numpy as np

from toy.framework import Dropout, Embedding, LayerNorm, Linear, Loss, Module, Tanh

ADAPTER = "toy.adapter"
WIDTH, CLASSES = 8, 3


class HardFloat32Norm(LayerNorm):
    """A norm that always computes in float32, as some models do."""

    def forward(self, x):
        return super().forward(x.astype(np.float32)).astype(x.dtype)


class Toy(Module):
    def __init__(self, rate, hard):
        super().__init__()
        self.children = {
            "embedding": Embedding(16, WIDTH),
            "mixer": Linear(WIDTH, WIDTH),
            "act": Tanh(),
            "norm": (HardFloat32Norm if hard else LayerNorm)(WIDTH),
            "drop": Dropout(rate),
            "left": Linear(WIDTH, 1),
            "right": Linear(WIDTH, CLASSES - 1),
        }

    def forward(self, ids, mask, label):
        part = self.children
        x = part["embedding"](ids)
        for _ in range(2):
            x = x + part["act"](part["mixer"](x))
        count = mask.sum(axis=1, keepdims=True)
        pooled = (x * mask[..., None]).sum(axis=1) / count
        kept = part["drop"](part["norm"](pooled))
        logits = np.concatenate([part["left"](kept), part["right"](kept)], axis=1)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        rows = np.arange(len(label))
        loss = Loss(-log_probs[rows, label].mean())
        d_logits = np.exp(log_probs)
        d_logits[rows, label] -= 1.0
        loss.backward = lambda: self.backpropagate(d_logits / len(label), mask / count)
        return {"pooled": pooled, "logits": logits, "loss": loss}

    def backpropagate(self, d, weights):
        part = self.children
        dx = part["left"].backward(d[:, :1]) + part["right"].backward(d[:, 1:])
        d_pooled = part["norm"].backward(part["drop"].backward(dx))
        dx = d_pooled[:, None, :] * weights[..., None]
        for _ in range(2):
            dx = dx + part["mixer"].backward(part["act"].backward(dx))
        part["embedding"].backward(dx)


class AdamW:
    """Adam with decoupled decay on matrices (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    def __init__(self, model, rate, decay):
        self.model, self.peak, self.rate, self.decay = model, rate, rate, decay
        self.betas, self.eps, self.step_count = (0.9, 0.999), 1e-8, 0
        self.state, self.watchers = {}, []

    def decay_of(self, name):
        return self.decay if name.endswith("weight") and "norm" not in name else 0.0

    def step(self):
        for watcher in self.watchers:
            watcher()
        self.step_count += 1
        b1, b2 = self.betas
        for path, module in self.model.modules():
            for name, gradient in module.grads.items():
                full = f"{path}.{name}"
                zero = np.zeros_like(module.params[name])
                state = self.state.setdefault(full, {"first_moment": zero, "second_moment": zero})
                m = b1 * state["first_moment"] + (1 - b1) * gradient
                v = b2 * state["second_moment"] + (1 - b2) * gradient**2
                state["first_moment"], state["second_moment"] = m, v
                p = module.params[name] * (1 - self.rate * self.decay_of(full))
                m_hat, v_hat = m / (1 - b1**self.step_count), v / (1 - b2**self.step_count)
                updated = p - self.rate * m_hat / (np.sqrt(v_hat) + self.eps)
                module.params[name] = updated.astype(p.dtype)


class Schedule:
    """Linear warm-up and decay to zero; constant after the warm-up where asked."""

    def __init__(self, optimizer, updates, warmup, constant):
        self.optimizer, self.updates, self.warmup, self.constant = (
            optimizer,
            updates,
            warmup,
            constant,
        )
        self.done = 0
        self.apply()

    def factor(self):
        if self.done < self.warmup:
            return self.done / max(1, self.warmup)
        if self.constant:
            return 1.0
        return max(0.0, (self.updates - self.done) / max(1, self.updates - self.warmup))

    def apply(self):
        self.optimizer.rate = self.optimizer.peak * self.factor()

    def step(self):
        self.done += 1
        self.apply()


def _read(settings, split):
    lines = (Path(settings["data"]) / f"{split}.txt").read_text().splitlines()
    return [[int(number) for number in line.split()] for line in lines]


def _batch(rows, longest):
    width = max(min(len(row) - 1, longest) for row in rows)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.float32)
    for i, (_, *tokens) in enumerate(rows):
        kept = tokens[:longest]
        ids[i, : len(kept)], mask[i, : len(kept)] = kept, 1.0
    return {"ids": ids, "mask": mask, "label": np.array([row[0] for row in rows])}


def _batches(rows, longest):
    for start in range(0, len(rows), 16):
        yield _batch(rows[start : start + 16], longest)


def build_model(settings):
    return Toy(settings["rate"], settings["float32_norm"])


def forward(model, batch):
    return model(batch["ids"], batch["mask"], batch["label"])


def sample_batches(settings):
    rows = sorted(_read(settings, "dev"), key=len)
    yield _batch([rows[0], rows[-1], rows[len(rows) // 2]], settings["longest"])
    yield _batch(rows[:1], settings["longest"])


def evaluation_batches(settings, split):
    yield from _batches(_read(settings, split), settings["longest"])


def training_batches(settings, epoch):
    rows = _read(settings, "train")
    order = np.random.default_rng([settings["seed"], epoch]).permutation(len(rows))
    yield from _batches([rows[i] for i in order], settings["longest"])


def evaluate(model, settings, split):
    total, right, predictions, count = 0.0, 0, [], 0
    dtype = model.children["mixer"].params["weight"].dtype
    for batch in _batches(_read(settings, split), settings["longest"]):
        outputs = model(batch["ids"], batch["mask"].astype(dtype), batch["label"])
        predicted = outputs["logits"].argmax(axis=1)
        predictions.append(predicted)
        right += int((predicted == batch["label"]).sum())
        total += float(outputs["loss"]) * len(predicted)
        count += len(predicted)
    return {
        "loss": total / count,
        "accuracy": right / count,
        "predictions": np.concatenate(predictions),
    }


def build_optimizer(model, settings, updates):
    optimizer = AdamW(model, settings["learning_rate"], settings["weight_decay"])
    return optimizer, Schedule(optimizer, updates, settings["warmup"], settings["constant"])


def update(model, optimizer, schedule, settings):
    grads = [(m, n) for _, m in model.modules() for n in m.grads]
    norm = np.sqrt(sum(float(np.sum(np.square(m.grads[n], dtype=np.float64))) for m, n in grads))
    scale = min(1.0, settings["max_norm"] / (norm + 1e-6))
    for module, name in grads:
        module.grads[name] = module.grads[name] * module.params[name].dtype.type(scale)
    optimizer.step()
    schedule.step()
