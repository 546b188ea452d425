"""PyTorch's own file format, read without running anything that is pickled in it."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelparity import InputError


def read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a `pytorch_model.bin`; raises InputError for anything else in it."""
    try:
        # Only tensors and plain containers; whatever else is in the file is refused, not run.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: not a file of parameters alone ({reason})") from None
    if not isinstance(found, dict) or not all(torch.is_tensor(x) for x in found.values()):
        raise InputError(f"{path}: holds other things than parameters; save its state_dict()")
    floats = {n: x.float() if x.is_floating_point() else x for n, x in found.items()}
    return {name: tensor.numpy() for name, tensor in floats.items()}
