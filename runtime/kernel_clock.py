"""What the kernel says of its own clock: whether a time service keeps it, and how far off it still is. Linux only.

Facts: adjtimex(2). Reading needs no rights.
"""

import ctypes
import ctypes.util
import sys
from dataclasses import dataclass
from datetime import timedelta

_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000


@dataclass(frozen=True, slots=True)
class KernelClock:
    """`offset`: what the time service still has to correct; it means something only while `is_synchronised`."""

    is_synchronised: bool
    offset: timedelta


class _Timex(ctypes.Structure):
    """As in the kernel's ABI for 64-bit machines; what follows `status` is not read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("largest_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 200),
    )


def read_kernel_clock() -> KernelClock | None:
    """None where the kernel cannot be asked."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    found = _Timex()
    try:
        answer = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True).adjtimex(ctypes.byref(found))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else judge(status=found.status, offset=found.offset)


def judge(*, status: int, offset: int) -> KernelClock:
    """`status` and `offset` as the kernel gives them: the offset in micro- or nanoseconds, as a bit of the status says."""
    microseconds = offset / 1000 if status & _NANOSECONDS else float(offset)
    return KernelClock(not status & _UNSYNCHRONISED, timedelta(microseconds=microseconds))
