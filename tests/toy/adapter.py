"""The adapter of the toy's framework."""

import platform
from contextlib import contextmanager, nullcontext

import numpy as np

from modelparity.adapters import Applied, Call, DropoutCall
from modelparity.errors import ParityError
from toy import framework


def versions():
    return {"numpy": np.__version__, "python": platform.python_version()}


def start(*, threads):
    return {"threads": str(threads)}


def precision(dtype):  # noqa: ARG001
    return nullcontext()


def seed(number):
    framework.seed(number)


def _places(model):
    for path, module in model.modules():
        for name in module.params:
            yield f"{path}.{name}" if path else name, module, name


def cast(model, dtype):
    for _, module, name in _places(model):
        module.params[name] = module.params[name].astype(dtype)


def train(model, training):
    for _, module in model.modules():
        module.training = training


def tensors(batch, dtype):
    return {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in batch.items()}


def array(value):
    return np.array(value)


def like(values, tensor):
    return values.astype(np.asarray(tensor).dtype)


def parameters(model):
    return {full: module.params[name].copy() for full, module, name in _places(model)}


def trainable(model):
    return list(parameters(model))


def load(model, arrays):
    places = {full: (module, name) for full, module, name in _places(model)}
    for full, values in arrays.items():
        if full not in places:
            raise ParityError(f"{full}: the model has no such parameter")
        module, name = places[full]
        if module.params[name].shape != values.shape:
            raise ParityError(f"{full}: {values.shape} against {module.params[name].shape}")
        module.params[name] = values.astype(module.params[name].dtype)


def configuration(model):
    found = {}
    for path, module in model.modules():
        if isinstance(module, framework.LayerNorm):
            found[path] = {"kind": "layernorm", "eps": module.eps}
        elif isinstance(module, framework.Dropout):
            found[path] = {"kind": "dropout", "rate": module.rate}
    return found


def backward(loss):
    loss.backward()


def gradients(model):
    return {
        full: np.array(module.grads[name])
        for full, module, name in _places(model)
        if name in module.grads
    }


def set_gradients(model, arrays):
    for full, module, name in _places(model):
        module.grads.pop(name, None)
        if full in arrays:
            module.grads[name] = arrays[full].copy()


@contextmanager
def observe(model, *, before=None, after=None):
    names = {id(module): path for path, module in model.modules()}
    runs, current, muted = {}, {}, []

    def call_of(module):
        def again(arrays):
            muted.append(module)
            try:
                return _tensors(module.forward(*arrays))
            finally:
                muted.pop()

        path = names[id(module)]
        return Call(path, current[path], not module.children, again)

    def first(module, arrays):
        if muted:
            return None
        path = names[id(module)]
        current[path] = runs[path] = runs.get(path, -1) + 1
        return before(call_of(module), arrays) if before else None

    def second(module, outputs):
        if muted or after is None:
            return outputs
        replaced = after(call_of(module), _tensors(outputs))
        return outputs if replaced is None else replaced[0]

    framework.OBSERVERS.append((first, second))
    try:
        yield
    finally:
        framework.OBSERVERS.pop()


def _tensors(outputs):
    if isinstance(outputs, dict):
        return [v for v in outputs.values() if isinstance(v, np.ndarray)]
    return [outputs] if isinstance(outputs, np.ndarray) else list(outputs)


@contextmanager
def dropout(model, draw):
    names = {id(module): path for path, module in model.modules()}
    counts = {}

    def intercept(module, shape, rate, active):
        site = names[id(module)]
        counts[site] = counts.get(site, -1) + 1
        scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
        return draw(DropoutCall(site, counts[site], rate, active, scale, tuple(shape)))

    framework.DROPOUT.append(intercept)
    try:
        yield
    finally:
        framework.DROPOUT.pop()


def optimizer_state(model, optimizer):  # noqa: ARG001
    return {name: dict(state) for name, state in optimizer.state.items()}


def optimizer_configuration(model, optimizer):
    return {
        "kind": "adamw",
        "beta1": optimizer.betas[0],
        "beta2": optimizer.betas[1],
        "eps": optimizer.eps,
        "decay": {name: optimizer.decay_of(name) for name in parameters(model)},
    }


@contextmanager
def watch_updates(model, optimizer, on_update, given=None):
    def note():
        rates = dict.fromkeys(parameters(model), float(optimizer.rate))
        on_update(Applied(rates, lambda: gradients(model)))
        if given:
            set_gradients(model, given())

    optimizer.watchers.append(note)
    try:
        yield
    finally:
        optimizer.watchers.remove(note)
