"""The toy's framework: modules with explicit backward passes, observers, dropout, Adam's state."""

import numpy as np

OBSERVERS: list = []  # (before, after) pairs of the adapter
DROPOUT: list = []  # the adapter's interceptor, at most one
RUNNING: list = []  # the modules that are running, outermost first
RNG = np.random.default_rng(0)


def seed(number):
    global RNG
    RNG = np.random.default_rng(number)


class Module:
    """Parameters, children and a stack of caches: a module may run more than once."""

    def __init__(self):
        self.params, self.grads, self.children, self.caches = {}, {}, {}, []
        self.training, self.path = False, ""

    def modules(self, path=""):
        yield path, self
        for name, child in self.children.items():
            yield from child.modules(f"{path}.{name}" if path else name)

    def __call__(self, *arrays):
        RUNNING.append(self)
        try:
            for before, _ in OBSERVERS:
                arrays = before(self, list(arrays)) or arrays
            outputs = self.forward(*arrays)
            for _, after in OBSERVERS:
                outputs = after(self, outputs)
        finally:
            RUNNING.pop()
        return outputs

    def accumulate(self, name, gradient):
        self.grads[name] = self.grads.get(name, 0.0) + gradient


class Linear(Module):
    """x @ weight.T + bias, weight (out, in)."""

    def __init__(self, inputs, outputs, std=0.3):
        super().__init__()
        weight = RNG.normal(0.0, std, (outputs, inputs)).astype(np.float32)
        self.params = {"weight": weight, "bias": np.zeros(outputs, np.float32)}

    def forward(self, x):
        self.caches.append(x)
        return x @ self.params["weight"].T + self.params["bias"]

    def backward(self, dy):
        x = self.caches.pop()
        flat_x, flat_dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        self.accumulate("weight", flat_dy.T @ flat_x)
        self.accumulate("bias", flat_dy.sum(axis=0))
        return dy @ self.params["weight"]


class Embedding(Module):
    def __init__(self, count, width):
        super().__init__()
        self.params = {"weight": RNG.normal(0.0, 1.0, (count, width)).astype(np.float32)}

    def forward(self, ids):
        self.caches.append(ids)
        return self.params["weight"][ids]

    def backward(self, dy):
        gradient = np.zeros_like(self.params["weight"])
        np.add.at(gradient, self.caches.pop(), dy)
        self.accumulate("weight", gradient)


class LayerNorm(Module):
    def __init__(self, width, eps=1e-12):
        super().__init__()
        self.eps = eps
        self.params = {
            "weight": np.ones(width, np.float32),
            "bias": np.zeros(width, np.float32),
        }

    def forward(self, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.eps)
        self.caches.append((centred * inverse, inverse))
        return centred * inverse * self.params["weight"] + self.params["bias"]

    def backward(self, dy):
        normal, inverse = self.caches.pop()
        axes = tuple(range(dy.ndim - 1))
        self.accumulate("weight", (dy * normal).sum(axis=axes))
        self.accumulate("bias", dy.sum(axis=axes))
        d = dy * self.params["weight"]
        mean = d.mean(axis=-1, keepdims=True)
        return inverse * (d - mean - normal * (d * normal).mean(axis=-1, keepdims=True))


class Tanh(Module):
    def forward(self, x):
        y = np.tanh(x)
        self.caches.append(y)
        return y

    def backward(self, dy):
        return dy * (1.0 - self.caches.pop() ** 2)


class Dropout(Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        active = self.training and self.rate > 0.0
        if DROPOUT:
            mask = DROPOUT[0](self, x.shape, self.rate, active)
        elif active:
            mask = RNG.random(x.shape) >= self.rate
        scale = x.dtype.type(1.0 / (1.0 - self.rate)) if active else x.dtype.type(1.0)
        self.caches.append((mask * scale) if active else None)
        return x if self.caches[-1] is None else x * self.caches[-1]

    def backward(self, dy):
        mask = self.caches.pop()
        return dy if mask is None else dy * mask


class Loss(float):
    """A loss that knows how to backpropagate."""

    backward = None
