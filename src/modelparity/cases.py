"""Find a case and its planted faults by name, and settle its settings."""

import importlib
import os
import sys
import traceback
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from modelparity.errors import ParityError, UsageError
from modelparity.model import Case, Fault, Setting


def load_case(name: str) -> Case:
    """The case `module:attribute`, or for a plain name the attribute CASE of module `name.case`.

    UsageError where there is none.
    """
    module, _, attribute = name.partition(":") if ":" in name else (f"{name}.case", "", "CASE")
    case = _attribute(module, attribute, f"case {name}")
    if not isinstance(case, Case):
        raise UsageError(f"case {name}: {module}:{attribute} is not a modelparity.Case")
    return case


def load_faults(case: Case) -> tuple[Fault, ...]:
    """Every planted fault of a case, in the order of steps."""
    if not case.faults:
        return ()
    module, _, attribute = case.faults.partition(":")
    faults = _attribute(module, attribute, f"faults of {case.name}")
    return tuple(faults)  # type: ignore[arg-type]


def load_fault(case: Case, name: str) -> Fault:
    """The planted fault of this name. UsageError names those that are spelt alike."""
    faults = {fault.name: fault for fault in load_faults(case)}
    if name not in faults:
        alike = " or ".join(get_close_matches(name, faults))
        meant = f"did you mean {alike}? " if alike else ""
        raise UsageError(
            f"--fault {name}: case {case.name} has no such fault; {meant}"
            f"modelparity faults {case.name} lists its {len(faults)}"
        )
    return faults[name]


def _attribute(module: str, attribute: str, what: str) -> object:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what}: there is no module {error.name}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what}: module {module} cannot be imported: {_told(error)}") from None
    if not hasattr(found, attribute):
        raise UsageError(f"{what}: module {module} has no {attribute}")
    return getattr(found, attribute)


def _told(error: BaseException) -> str:
    """What was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({Path(frames[-1].filename).name}:{frames[-1].lineno})"


def resolve_settings(case: Case, changes: Mapping[str, str], directory: Path) -> dict[str, Setting]:
    """The case's settings with what `--set` changed, checked and completed by the case.

    `directory` receives what the case writes for itself. UsageError for an unknown setting or a
    value of another type; the case's `prepare` raises what it finds.
    """
    settings = dict(case.settings)
    for key, text in changes.items():
        if key not in settings:
            known = ", ".join(settings)
            raise UsageError(f"--set {key}: case {case.name} has no such setting; it has {known}")
        settings[key] = _parse(key, text, settings[key])
    if case.prepare is None:
        return settings
    try:
        return case.prepare(settings, directory)
    except ParityError:
        raise
    except Exception as error:
        raise UsageError(f"case {case.name}: its prepare() failed: {_told(error)}") from None


def _parse(key: str, text: str, default: Setting) -> Setting:
    if isinstance(default, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UsageError(f"--set {key}={text}: expected true or false")
    try:
        return type(default)(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise UsageError(f"--set {key}={text}: expected {kind}") from None
