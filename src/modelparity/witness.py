"""Which of the project's functions a side runs, so that shared code cannot pass unseen."""

import cProfile
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType

INSTALLED = ("site-packages", "dist-packages")


class Witness:
    """Notes functions of the user's modules; those of libraries and of the ladder do not count.

    sides    import paths of the sides: all code of their top-level packages counts, installed too
    allowed  modules that both sides may run
    """

    def __init__(self, sides: Iterable[str], allowed: Iterable[str]) -> None:
        self._packages = {side.partition(".")[0] for side in sides}
        self._allowed = tuple(allowed)

    @contextmanager
    def watching(self) -> Iterator[set[str]]:
        """At the end of the block the set holds `module:function:line` of all that ran in it."""
        ran: set[str] = set()
        # The profiler in C costs a third of what a function of ours for sys.setprofile would.
        profile = cProfile.Profile(builtins=False, subcalls=False)
        profile.enable()
        try:
            yield ran
        finally:
            profile.disable()
            modules = _modules_by_file()
            codes = (entry.code for entry in profile.getstats())
            names = (self._name(code, modules) for code in codes if isinstance(code, CodeType))
            ran.update(name for name in names if name)

    def _name(self, code: CodeType, modules: dict[str, str]) -> str:
        """What identifies a function in every interpreter; "" where it does not count."""
        module = modules.get(code.co_filename, "")
        if not module or is_own(code.co_filename):
            return ""
        if module.partition(".")[0] not in self._packages and is_library(code.co_filename):
            return ""
        if any(module == name or module.startswith(f"{name}.") for name in self._allowed):
            return ""
        return f"{module}:{code.co_name}:{code.co_firstlineno}"


def is_own(file: str) -> bool:
    """Whether a source file is modelparity's, wherever and in whatever it is installed."""
    return file.startswith(_OWN)


def is_library(file: str) -> bool:
    """Whether a source file belongs to Python or to an installed package."""
    return file.startswith(_LIBRARIES) or any(f"{os.sep}{n}{os.sep}" in file for n in INSTALLED)


def _modules_by_file() -> dict[str, str]:
    # Through __dict__: asking a lazy module for an attribute may import what it stands for.
    named = ((n, getattr(m, "__dict__", {}).get("__file__")) for n, m in list(sys.modules.items()))
    return {file: name for name, file in named if isinstance(file, str) and name != "__main__"}


def _directories(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple({way(path) + os.sep for path in paths for way in (str, os.path.realpath)})


# The code's own idea of its file may differ from the module's, as in a zip of compiled files.
_OWN = _directories(os.path.dirname(file) for file in (__file__, is_own.__code__.co_filename))
_LIBRARIES = _directories(
    [
        os.path.dirname(os.__file__),
        *(sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    ]
)
