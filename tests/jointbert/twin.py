"""One side of the comparison in test_twins.py, in a process of its own.

`python twin.py torch|paddle JOBS OUT.npz` runs every job of a JSON list in float64 and writes its
arrays. A job is {"name", "settings", "model": bool}. Weights and gradients are drawn from the
parameters' names, the same on both sides. Nothing of the ladder takes part.
"""

import importlib
import json
import sys
import zlib
from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

UPDATES = 20
NORMS = (0.01, 100.0)  # below and above the limit of the clipping
EPOCHS = 2

Array = np.ndarray[Any, Any]
Found = dict[str, Array]


class Torch:
    """What differs when PyTorch runs a side."""

    def __init__(self) -> None:
        self.torch = importlib.import_module("torch")
        self.torch.set_num_threads(1)
        self.torch.set_default_dtype(self.torch.float64)
        self.side = importlib.import_module("jointbert.in_torch.side")

    def tensors(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        return {name: self.torch.tensor(array) for name, array in arrays.items()}

    def parameters(self, model: Any) -> dict[str, Any]:
        return dict(model.named_parameters())

    def array(self, name: str, tensor: Any) -> Array:
        return np.array(tensor.detach().numpy())

    def set_value(self, name: str, parameter: Any, array: Array) -> None:
        with self.torch.no_grad():
            parameter.copy_(self.torch.tensor(array))

    def set_gradient(self, name: str, parameter: Any, array: Array) -> None:
        parameter.grad = self.torch.tensor(array)

    def clear(self, optimizer: Any) -> None:
        optimizer.zero_grad()

    def rate(self, optimizer: Any) -> float:
        return float(optimizer.param_groups[0]["lr"])


class Paddle:
    """What differs when Paddle runs a side; arrays have the reference's layout outside of it."""

    def __init__(self) -> None:
        self.paddle = importlib.import_module("paddle")
        self.paddle.set_default_dtype("float64")
        self.side = importlib.import_module("jointbert.in_paddle.side")
        self.linear: set[str] = set()

    def tensors(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        return {name: self.paddle.to_tensor(array) for name, array in arrays.items()}

    def parameters(self, model: Any) -> dict[str, Any]:
        layers, kind = model.named_sublayers(), self.paddle.nn.Linear
        self.linear = {f"{name}.weight" for name, layer in layers if isinstance(layer, kind)}
        return dict(model.named_parameters())

    def array(self, name: str, tensor: Any) -> Array:
        array = tensor.numpy()
        return np.array(array.T if name in self.linear else array)

    def set_value(self, name: str, parameter: Any, array: Array) -> None:
        laid = array.T if name in self.linear else array
        parameter.set_value(np.ascontiguousarray(laid))

    def set_gradient(self, name: str, parameter: Any, array: Array) -> None:
        laid = array.T if name in self.linear else array
        parameter.grad = self.paddle.to_tensor(np.ascontiguousarray(laid))

    def clear(self, optimizer: Any) -> None:
        optimizer.clear_grad(set_to_zero=False)

    def rate(self, optimizer: Any) -> float:
        return float(optimizer.get_lr())


Framework = Torch | Paddle


def batches(own: Framework, settings: Any) -> Found:
    """Every batch of dev, test and two epochs, and the samples."""
    groups = {split: own.side.evaluation_batches(settings, split) for split in ("dev", "test")}
    groups |= {f"epoch {e}": own.side.training_batches(settings, e) for e in range(EPOCHS)}
    groups["samples"] = own.side.sample_batches(settings)
    return {
        f"batch/{group}/{number}/{field}": array
        for group, made in groups.items()
        for number, batch in enumerate(made)
        for field, array in batch.items()
    }


def passes(own: Framework, settings: Any) -> Found:
    """Outputs and every gradient on the sample batches, in evaluation mode."""
    found: Found = {}
    model = loaded(own, settings)
    parameters = own.parameters(model)
    for number, batch in enumerate(own.side.sample_batches(settings)):
        outputs = own.side.forward(model, own.tensors(batch))
        for name, tensor in outputs.items():
            found[f"output/{number}/{name}"] = own.array("", tensor)
        outputs["loss"].backward()
        for name, parameter in parameters.items():
            found[f"gradient/{number}/{name}"] = own.array(name, parameter.grad)
            parameter.grad = None
    return found


def updates(own: Framework, settings: Any) -> Found:
    """Parameters after updates from the same gradients, and the rate of every update."""
    model = loaded(own, settings)
    optimizer, schedule = own.side.build_optimizer(model, settings, UPDATES)
    rates = []
    for number in range(UPDATES + 3):  # beyond the schedule's end too
        rates.append(own.rate(optimizer))
        for name, parameter in own.parameters(model).items():
            own.set_gradient(name, parameter, drawn(name, own.array(name, parameter).shape, number))
        own.side.update(model, optimizer, schedule, settings)
    arrays = {n: own.array(n, p) for n, p in own.parameters(model).items()}
    return {"rates": np.array(rates), **{f"updated/{n}": a for n, a in arrays.items()}}


def drawn(name: str, shape: tuple[int, ...], number: int) -> Array:
    """The gradient of one update; small and large in turn."""
    generator = np.random.default_rng([zlib.crc32(name.encode()), number])
    return NORMS[number % 2] / np.sqrt(np.prod(shape)) * generator.normal(size=shape)


def training(own: Framework, settings: Any) -> Found:
    """Losses of a training without dropout on its own batches; then the metrics of both splits."""
    model = loaded(own, settings)
    optimizer, schedule = own.side.build_optimizer(model, settings, UPDATES)
    endless = (one for epoch in count() for one in own.side.training_batches(settings, epoch))
    losses = []
    for _, batch in zip(range(UPDATES), endless, strict=False):
        loss = own.side.forward(model, own.tensors(batch))["loss"]
        loss.backward()
        own.side.update(model, optimizer, schedule, settings)
        own.clear(optimizer)
        losses.append(loss.item())
    found = {"losses": np.array(losses)}
    # The weights of the start predict many labels at random; a short training predicts only O.
    model = loaded(own, settings)
    for split in ("dev", "test"):
        for name, value in own.side.evaluate(model, settings, split).items():
            found[f"metric/{split}/{name}"] = np.asarray(value)
    return found


def loaded(own: Framework, settings: Any) -> Any:
    """A model whose every parameter differs from what it starts from."""
    model = own.side.build_model(settings)
    for name, parameter in own.parameters(model).items():
        shape = own.array(name, parameter).shape
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        own.set_value(name, parameter, generator.normal(centre, 0.1, shape))
    model.eval()
    return model


def main(framework: str, jobs: str, out: str) -> None:
    own: Framework = Torch() if framework == "torch" else Paddle()
    found: Found = {}
    for job in json.loads(jobs):
        settings, start = job["settings"], f"{job['name']}/"
        made = batches(own, settings)
        if job["model"]:
            for part in (passes, updates, training):
                made |= part(own, settings)
        found |= {start + name: array for name, array in made.items()}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
