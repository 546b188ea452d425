"""The port's threads: every item once, whatever their number."""

import threading
import time
from collections.abc import Iterator

import pytest
from frameworks import import_paddle

import_paddle()

from jointbert.in_paddle.threads import each, set_threads  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread_again() -> Iterator[None]:
    yield
    set_threads(1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_item_is_taken_once(count: int):
    set_threads(count)
    assert sorted(each(lambda item: item * item, range(100))) == [n * n for n in range(100)]


def test_threads_work_at_once():
    set_threads(2)
    met = threading.Barrier(2, timeout=20)
    each(lambda _: met.wait(), range(2))


def test_what_fails_on_any_thread_is_raised():
    set_threads(2)

    def fail_elsewhere(_: int) -> None:
        time.sleep(0.01)
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        each(fail_elsewhere, range(20))
