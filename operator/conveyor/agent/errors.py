"""What ends a trusted step: a reason a person can act on, never a secret."""

from __future__ import annotations


class StepFailed(Exception):
    """The run cannot be finished. Its text is stored with the item and shown."""
