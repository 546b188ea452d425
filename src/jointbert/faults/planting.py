"""Ways to plant a fault: each makes the `override` of a `modelparity.Fault`.

Nothing here imports a framework; what a fault changes is imported when its function runs.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Functions = Mapping[str, Callable[..., Any]]
Override = Callable[[Functions], Functions]


def built(change: Callable[[Any], None]) -> Override:
    """Every model, changed in place after `build_model` has made it."""

    def override(functions: Functions) -> Functions:
        def build_model(settings: Mapping[str, Any]) -> Any:
            model = functions["build_model"](settings)
            change(model)
            return model

        return {"build_model": build_model}

    return override


def running(name: str, wrapped: Callable[..., Any]) -> Override:
    """`wrapped(function, *arguments)` in place of the side's function `name`."""

    def override(functions: Functions) -> Functions:
        def replacement(*arguments: Any) -> Any:
            return wrapped(functions[name], *arguments)

        return {name: replacement}

    return override


def under(name: str, module: str, **attributes: Any) -> Override:
    """The side's function `name`, run while attributes of one of the port's modules differ."""

    def wrapped(function: Callable[..., Any], *arguments: Any) -> Any:
        with patched(module, **attributes):
            result = function(*arguments)
            # An iterator would do its work after the attributes are back.
            return list(result) if isinstance(result, Iterator) else result

    return running(name, wrapped)


def with_settings(name: str, place: int, **changes: Any) -> Override:
    """The side's function `name`, whose argument at `place` is settings, under changed ones."""

    def wrapped(function: Callable[..., Any], *arguments: Any) -> Any:
        given = list(arguments)
        given[place] = {**given[place], **changes}
        return function(*given)

    return running(name, wrapped)


def composed(*overrides: Override) -> Override:
    """All of them, one after the other: each sees the functions that those before have replaced."""

    def override(functions: Functions) -> Functions:
        changed: dict[str, Callable[..., Any]] = {}
        for each in overrides:
            changed.update(each({**functions, **changed}))
        return changed

    return override


@contextmanager
def patched(module: str, **attributes: Any) -> Iterator[None]:
    """Replace attributes of a module of `jointbert.in_paddle` for a while."""
    owner = importlib.import_module(f"jointbert.in_paddle.{module}")
    before = {name: getattr(owner, name) for name in attributes}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
