"""Load a side and the adapter that it names, and say in a line what fails in a user's code."""

import importlib
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, cast

from modelparity.adapters import REQUIRED, Adapter
from modelparity.errors import UsageError
from modelparity.model import Fault
from modelparity.witness import is_library, is_own

FUNCTIONS = (
    "build_model",
    "forward",
    "sample_batches",
    "vocabularies",
    "training_batches",
    "evaluation_batches",
    "evaluate",
    "build_optimizer",
    "update",
)


def load_side(module: str, fault: Fault | None) -> tuple[dict[str, Callable[..., Any]], Adapter]:
    """The functions that a side offers, a fault's in place of its own, and its adapter.

    Raises UsageError for a module that cannot be imported, or is no side or no adapter.
    """
    side = _imported(f"side {module}", module)
    name = getattr(side, "ADAPTER", None)
    if not isinstance(name, str):
        raise UsageError(f"side {module}: it does not say its ADAPTER (see docs/sides.md)")
    adapter = _imported(f"adapter {name} of side {module}", name)
    lacking = [name for name in REQUIRED if not hasattr(adapter, name)]
    if lacking:
        raise UsageError(f"adapter {name}: it lacks {', '.join(lacking)}")
    functions = {name: getattr(side, name) for name in FUNCTIONS if hasattr(side, name)}
    if fault:
        functions.update(fault.override(MappingProxyType(dict(functions))))
    return functions, cast(Adapter, adapter)


def _imported(what: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what}: there is no module {error.name}; is it installed?") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what}: it cannot be imported: {in_short(error)}") from None


def in_short(error: BaseException) -> str:
    """One line: what was raised, and the innermost place in code of the user's.

    All of it goes to standard error where MODELPARITY_TRACEBACK is set.
    """
    if os.environ.get("MODELPARITY_TRACEBACK"):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not (f.filename.startswith("<") or is_library(f.filename))]
    own = [f for f in own if not is_own(f.filename)]
    place = f" ({_shown(own[-1].filename)}:{own[-1].lineno}, in {own[-1].name})" if own else ""
    first_line = (str(error).strip().splitlines() or [""])[0]
    return ": ".join(filter(None, (type(error).__name__, first_line))) + place


def _shown(file: str) -> str:
    """A file as seen from the current directory; by its name where it lies elsewhere."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
