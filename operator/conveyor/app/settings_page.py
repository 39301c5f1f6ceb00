"""The documentation page of all settings, made from the models that read them."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from conveyor.app.settings import Address, variable

_INTRODUCTION = """# Settings

The operator and the ingress read these environment variables when they start. A value that cannot be read stops the
start with a message that names the variable. Switches take `true` or `false`.
"""


NOT_READ_YET = frozenset(
    {
        "reconcile_enabled",
        "reconcile_skip_blocked_enabled",
        "grace_default_seconds",
        "ingress_public_url",
    }
)
"""Settings of features that are still to come; one that is read leaves this list with the change that reads it."""


def settings_page(*sections: tuple[str, type[BaseModel]]) -> str:
    """Markdown. A section is a heading and a model whose fields have descriptions."""
    return _INTRODUCTION + "".join(
        f"\n## {title}\n{''.join(_setting(name, field) for name, field in model.model_fields.items())}"
        for title, model in sections
    )


def _setting(name: str, field: FieldInfo) -> str:
    text = " ".join((field.description or "").split())
    unread = "\n\n**Accepted, and not read by this version.**" if name in NOT_READ_YET else ""
    return f"\n### `{variable(name)}`\n\n{text}{unread}\n\n{_default(field.default)}\n"


def _default(value: object) -> str:
    match value:
        case None:
            return "Default: unset"
        case bool():
            return f"Default: `{str(value).lower()}`"
        case Address():
            return f"Default: `{value}`"
        case tuple((str(host), int(port))):
            return f"Default: `{host}:{port}`"
        case str():
            return f"Default: `{value}`" if value else "Default: empty"
        case Iterable():
            return f"Default: `{','.join(sorted(map(str, value)))}`" if tuple(value) else "Default: empty"
        case float():
            return f"Default: `{value:g}`"
        case _:
            return f"Default: `{value}`"
