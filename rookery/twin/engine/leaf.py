"""How the twin's small kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable

from numba import njit


def leaf(kernel: Callable) -> Callable:
    """A kernel that makes no arrays of its own, compiled without counting references to those it is handed.

    A call would count one for each of some fifty arrays, which takes longer than most of these kernels do; the option
    is numba's own, not a public one, so that kernels work without it too, at a third of the speed.
    """
    try:
        return njit(nogil=True, cache=True, _nrt=False)(kernel)  # type: ignore[call-overload]
    except (KeyError, TypeError, ValueError):
        return njit(nogil=True, cache=True)(kernel)
