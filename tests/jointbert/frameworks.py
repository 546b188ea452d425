"""Both frameworks in one process: PyTorch first where it is installed, and without warnings.

The order is the one that loads both, and Paddle's import warns, which the tests take as an error.
"""

import importlib.util
import warnings
from types import ModuleType

import pytest


def import_paddle() -> ModuleType:
    """Paddle; skips the test's module where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("torch") is not None:
            importlib.import_module("torch")
        return pytest.importorskip("paddle", reason="the port needs PaddlePaddle")
