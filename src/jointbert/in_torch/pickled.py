"""PyTorch's own file format, read without running anything that is pickled in it."""

import re
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
        if not isinstance(found, dict) or not all(torch.is_tensor(x) for x in found.values()):
            raise InputError(f"{path}: holds other things than parameters; save its state_dict()")
        floats = {n: x.float() if x.is_floating_point() else x for n, x in found.items()}
        return {str(name): tensor.detach().numpy() for name, tensor in floats.items()}
    except InputError:
        raise
    except Exception as error:  # a file that anyone may have written can raise anything
        raise InputError(f"{path}: not a file of parameters alone ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """The first line; of a refusal, what would have run."""
    text = str(error).strip()
    refused = re.search(r"GLOBAL (\S+)", text)
    if refused:
        return f"it calls {refused[1]}"
    return text.split("\n")[0] or type(error).__name__
