"""Python's collector of cycles, set for a process that keeps tens of thousands of objects and reads JSON all day."""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 50)
"""Python's own are 700, 10, 10, made for programs that keep little."""


def configure() -> None:
    """What is there by now, modules above all, stays for ever and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
