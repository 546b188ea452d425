"""Keep freed memory in the process while a model trains.

The gradient of the word embeddings is larger than what glibc keeps, so each update would fetch its
pages from the system anew: 15 to 25 ms of 430 for the six-layer model, whatever the batch.
"""

import ctypes
import sys

# malloc.h of glibc
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed() -> bool:
    """Ask malloc for it; whether it agreed, which it does not without glibc."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
