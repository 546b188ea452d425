"""What the adapters have in common: flattening, replacing, counting and muting."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any

from modelparity.adapters import Call, Tensors
from modelparity.errors import ParityError

Callback = Callable[[Call, Tensors], Tensors | None]
Hook = Callable[..., Any]

# One switch for all observations: nested ones must not see what `again` runs for another.
_MUTED: ContextVar[bool] = ContextVar("muted", default=False)


class Watch:
    """Counts runs and hands tensors to the callbacks of one observation."""

    def __init__(self, kind: type, before: Callback | None, after: Callback | None) -> None:
        self._kind, self._before, self._after = kind, before, after
        self._runs: dict[str, int] = {}
        self._open: list[Call] = []

    def hooks(self, name: str, *, leaf: bool) -> tuple[Hook, Hook]:
        """Forward hooks of one submodule, for before and after; both take keywords too."""

        def first(module: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
            return None if _MUTED.get() else self._enter(name, leaf, module.forward, (args, kwargs))

        def second(_module: Any, _args: Any, _kwargs: Any, output: Any) -> Any:
            return None if _MUTED.get() else self._leave(name, output)

        return first, second

    def _enter(
        self, name: str, leaf: bool, forward: Callable[..., Any], passed: tuple[Any, Any]
    ) -> tuple[Any, Any] | None:
        ordered = in_order(forward, *passed)
        index = self._runs[name] = self._runs.get(name, -1) + 1

        def placed(tensors: Tensors) -> tuple[Any, Any]:
            filled = fill(list(ordered.values()), tensors, self._kind, f"inputs of {name!r}")
            replaced = dict(zip(ordered, filled, strict=True))
            args, kwargs = passed
            return (
                tuple(replaced[place] for place in range(len(args))),
                {key: replaced[key] for key in kwargs},
            )

        def again(tensors: Tensors) -> Tensors:
            args, kwargs = placed(tensors)
            token = _MUTED.set(True)
            try:
                return flatten(forward(*args, **kwargs), self._kind)
            finally:
                _MUTED.reset(token)

        call = Call(name, index, leaf, again)
        self._open.append(call)
        found = flatten(list(ordered.values()), self._kind)
        replaced = self._before(call, found) if self._before else None
        return None if replaced is None else placed(replaced)

    def _leave(self, name: str, output: Any) -> Any:
        call = self._open.pop()
        while call.module != name:  # left behind by an exception that someone caught
            call = self._open.pop()
        replaced = self._after(call, flatten(output, self._kind)) if self._after else None
        if replaced is None:
            return None
        return fill(output, replaced, self._kind, f"outputs of {name!r}")


@contextmanager
def replaced(*places: tuple[Any, str, Any]) -> Iterator[None]:
    """Set attributes (owner, name, value) for a while; an instance's own go as they came."""
    before = [
        (owner, name, vars(owner).get(name), name in vars(owner)) for owner, name, _ in places
    ]
    try:
        for owner, name, value in places:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value, own in reversed(before):
            if own:
                setattr(owner, name, value)
            elif name in vars(owner):
                delattr(owner, name)


def in_order(
    forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[int | str, Any]:
    """Arguments in the order of the signature, keyed by their position or keyword."""
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs.items())
    try:
        names = [
            name
            for name, parameter in inspect.signature(forward).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):  # a callable without a signature
        return given
    places: list[int | str] = list(range(len(args)))
    places += sorted(kwargs, key=lambda key: names.index(key) if key in names else len(names))
    return {place: given[place] for place in places}


def flatten(value: Any, kind: type) -> Tensors:
    """Every tensor in nested tuples, lists, dicts and dataclasses, in order."""
    if isinstance(value, kind):
        return [value]
    return [tensor for part in _parts(value) for tensor in flatten(part, kind)]


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple | list):
        yield from value
    elif is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, f.name) for f in fields(value))


def fill(value: Any, tensors: Tensors, kind: type, what: str) -> Any:
    """The same structure with these tensors in place of its own, in the order of `flatten`.

    Raises ParityError where their number differs.
    """
    count = len(flatten(value, kind))
    if len(tensors) != count:
        raise ParityError(f"{what}: {len(tensors)} tensors in place of {count}; give one for each")
    rest = iter(tensors)

    def put(part: Any) -> Any:
        if isinstance(part, kind):
            return next(rest)
        if not flatten(part, kind):
            return part
        if isinstance(part, Mapping):
            return _mapping(part, {key: put(one) for key, one in part.items()})
        if isinstance(part, tuple | list):
            new = [put(one) for one in part]
            return type(part)(*new) if hasattr(part, "_fields") else type(part)(new)
        made = copy.copy(part)  # a dataclass: its constructor may ask for other things
        for field in fields(part):
            object.__setattr__(made, field.name, put(getattr(part, field.name)))
        return made

    return put(value)


def _mapping(old: Mapping[Any, Any], new: dict[Any, Any]) -> Mapping[Any, Any]:
    if not isinstance(old, MutableMapping):
        build: Callable[..., Mapping[Any, Any]] = type(old)
        return build(new)
    made = copy.copy(old)  # keeps what a subclass holds beside its items
    for key, value in new.items():
        made[key] = value
    return made
