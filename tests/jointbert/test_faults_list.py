"""The list of planted faults; that each is caught by its own step is judged by running it."""

import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from jointbert import faults
from jointbert.case import CASE
from jointbert.faults import FAULTS
from modelparity import Fault
from modelparity.cases import load_faults
from modelparity.sides import FUNCTIONS
from modelparity.steps import STEPS

FRAMEWORKS = ("paddle", "tokenizers", "torch", "transformers")


def test_names_are_unique() -> None:
    names = [fault.name for fault in FAULTS]
    assert sorted(set(names)) == sorted(names)


def test_every_step_has_four_faults_that_it_must_catch() -> None:
    for step in STEPS:
        caught = [fault for fault in FAULTS if fault.step == step.NUMBER and not fault.equivalent]
        assert len(caught) >= 4, step.NAME


def test_there_are_enough_faults_to_measure_a_rate_of_detection() -> None:
    assert sum(not fault.equivalent for fault in FAULTS) >= 58


def test_faults_stand_in_the_order_of_steps() -> None:
    steps = [fault.step for fault in FAULTS]
    assert steps == sorted(steps)


def test_each_file_holds_the_faults_of_its_step() -> None:
    for step in STEPS:
        module = getattr(faults, step.NAME)
        assert {fault.step for fault in module.FAULTS} == {step.NUMBER}, step.NAME


def test_equivalent_faults_say_why() -> None:
    equivalent = [fault for fault in FAULTS if fault.equivalent]
    assert len(equivalent) >= 4
    assert all(len(fault.equivalent.split()) > 3 for fault in equivalent)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_says_what_it_is(fault: Fault) -> None:
    assert fault.site
    assert fault.cause


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_replaces_functions_of_a_side(fault: Fault) -> None:
    functions = {name: lambda *_: None for name in FUNCTIONS}
    replaced = fault.override(MappingProxyType(functions))
    assert replaced
    for name, function in replaced.items():
        assert function is not functions[name]


def test_the_case_finds_the_faults() -> None:
    assert load_faults(CASE) == FAULTS


def test_importing_and_planting_load_no_framework() -> None:
    code = (
        "import sys\n"
        "from jointbert.faults import FAULTS\n"
        "functions = dict.fromkeys(sys.argv[1].split(','), print)\n"
        "[fault.override(functions) for fault in FAULTS]\n"
        "print(*(name for name in sys.argv[2].split(',') if name in sys.modules))"
    )
    source = Path(faults.__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code, ",".join(FUNCTIONS), ",".join(FRAMEWORKS)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(source)},
    )
    assert ran.stdout.strip() == ""


def test_a_loaded_framework_would_be_seen() -> None:
    code = "import sys, tokenizers; print('tokenizers' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True"
