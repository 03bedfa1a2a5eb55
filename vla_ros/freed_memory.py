"""Memory that was freed is used again, rather than given back, mapped anew and cleared."""

from __future__ import annotations

import ctypes

# malloc.h of glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# The largest threshold that every glibc accepts. Larger blocks are mapped and cleared each time.
_LARGEST_REUSED_BLOCK = 32 * 2**20


def keep_freed_memory(most_bytes: int = 4 * _LARGEST_REUSED_BLOCK) -> None:
    """
    Let glibc keep so much freed memory at the end of its heap, and reuse blocks of up to 32 MiB.

    That halves the CPU time per received image, and saves a tenth of that of a training step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED_BLOCK)
    mallopt(_M_TRIM_THRESHOLD, most_bytes)
