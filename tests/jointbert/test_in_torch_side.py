"""The reference's side: the whole protocol, and functions that do not lean on one another."""

import ast
import inspect
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")

from jointbert.in_torch import side  # noqa: E402

PROTOCOL = {
    "build_model": ("settings",),
    "forward": ("model", "batch"),
    "sample_batches": ("settings",),
    "training_batches": ("settings", "epoch"),
    "evaluation_batches": ("settings", "split"),
    "evaluate": ("model", "settings", "split"),
    "build_optimizer": ("model", "settings", "updates"),
    "update": ("model", "optimizer", "schedule", "settings"),
}


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_function_is_offered_with_the_arguments_of_the_protocol(name: str):
    assert tuple(inspect.signature(getattr(side, name)).parameters) == PROTOCOL[name]


def test_no_function_of_the_side_calls_another():
    called = {
        node.func.id
        for node in ast.walk(ast.parse(inspect.getsource(side)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & set(PROTOCOL)


def test_the_reference_never_loads_the_ports_framework():
    program = (
        "import sys, jointbert.in_torch.side, jointbert.in_torch.train;"
        "print(sorted({'paddle', 'jointbert.in_paddle'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
