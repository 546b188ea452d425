"""Cases: each framework in two processes against itself in one.

What is on trial is how a training is distributed (`together.py`), and no more: all other code of
the framework is shared on purpose, and the case `jointbert` tries it.
"""

from pathlib import Path

from jointbert import case
from jointbert.case import SETTINGS
from modelparity import Case, Setting

SHARED = (
    "bert",
    "characters",
    "crf",
    "data",
    "kernels",
    "loss",
    "metrics",
    "model",
    "optimize",
    "side",
    "strides",
    "threads",
)


def prepare(settings: dict[str, Setting], directory: Path) -> dict[str, Setting]:
    """As the case `jointbert` does."""
    return case.prepare({**settings, "seeds": 0}, directory)


def _in_two(framework: str) -> Case:
    inside = f"jointbert.in_{framework}"
    return Case(
        name=f"jointbert.two_processes:{framework.upper()}",
        reference=f"{inside}.side",
        candidate=f"{inside}.together_side",
        settings={name: value for name, value in SETTINGS.items() if name != "seeds"},
        paths=case.CASE.paths,
        splits=case.CASE.splits,
        mask=case.CASE.mask,
        variants=case.CASE.variants,
        shared=("jointbert.labels", *(f"{inside}.{name}" for name in SHARED)),
        prepare=prepare,
        faults="jointbert.faults.together:FAULTS",
    )


TORCH, PADDLE = _in_two("torch"), _in_two("paddle")
