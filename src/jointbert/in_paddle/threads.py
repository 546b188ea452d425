"""How many threads work: those of Paddle's operations, and those of `each`."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import paddle

Item = TypeVar("Item")
Result = TypeVar("Result")
_count = 1


def set_threads(count: int) -> None:
    """Let Paddle and `each` use so many; before the first call `each` uses one."""
    global _count
    paddle.base.core.set_num_threads(count)
    _count = count


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What the function gives for every item, in any order: each thread takes what is next.

    For functions that let go of the interpreter, as compiled loops over memory do.
    """
    rest = iter(list(items))  # a list's iterator may be shared between threads

    def work() -> list[Result]:
        return [function(item) for item in rest]

    with ThreadPoolExecutor() as pool:
        helpers = [pool.submit(work) for _ in range(_count - 1)]
        return sum((helper.result() for helper in helpers), work())
