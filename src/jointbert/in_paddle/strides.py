"""Whether what Paddle slices and transposes shares the memory of its source."""

from collections.abc import Iterator
from contextlib import contextmanager

import paddle

FLAG = "FLAGS_use_stride_kernel"


@contextmanager
def without_views() -> Iterator[None]:
    """Slices and transposed tensors are copies meanwhile.

    A matrix product of a view first makes a copy after all, by a CPU kernel so slow that a training
    step took a third longer. The flag is the process's, so it is put back.
    """
    before = paddle.get_flags(FLAG)
    paddle.set_flags({FLAG: False})
    try:
        yield
    finally:
        paddle.set_flags(before)
