"""Small saved models with parameters at random, so that they predict many labels."""

import importlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jointbert import saved
from jointbert.labels import read_labels


def random_arrays(model: Any, framework: str) -> dict[str, np.ndarray[Any, Any]]:
    network = importlib.import_module(f"jointbert.in_{framework}.model")
    arrays = {}
    for name, array in network.to_arrays(model).items():
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        arrays[name] = generator.normal(centre, 0.2, array.shape).astype(np.float32)
    return arrays


def save(directory: Path, framework: str, settings: Mapping[str, Any]) -> Path:
    """A model of these settings, with other parameters, saved by a framework itself."""
    network = importlib.import_module(f"jointbert.in_{framework}.model")
    labels = read_labels(settings["data"])
    given = directory.with_name(f"{directory.name}-given")
    model = network.build_model(settings)
    saved.write(given, random_arrays(model, framework), settings, labels)
    network.load_weights(model, given / saved.WEIGHTS)
    saved.write(directory, network.to_arrays(model), settings, labels)
    return directory
