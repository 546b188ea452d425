"""JointBERT's port in PaddlePaddle, a twin of `jointbert.in_torch`."""

import importlib
import os
import warnings
from pathlib import Path


def _is_amd() -> bool:
    processor = Path("/proc/cpuinfo")
    return processor.exists() and "AuthenticAMD" in processor.read_text(errors="replace")


# Before Paddle is imported anywhere below: on AMD processors the matrix library beneath it takes
# its slow path unless told to use AVX2. Predictions change by rounding only.
if _is_amd():
    os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")

# Its threads wait busily for the next operation, 200 ms by default, and keep their cores from the
# threads of the optimizer meanwhile. Operations of a model are not 10 ms apart.
os.environ.setdefault("KMP_BLOCKTIME", "10")

# Paddle's C++ half warns on standard error, in the midst of answers, of what no user can change.
os.environ.setdefault("GLOG_minloglevel", "2")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import misses an optional compiler cache
    importlib.import_module("paddle")
