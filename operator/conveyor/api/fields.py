"""The kinds' common field types: bounded strings, times, names, conditions, and how fields are spelled in the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from conveyor.api.names import MAX_ITEM_NAME, MAX_REPOSITORY_NAME


def api_name(name: str) -> str:
    """`head_sha` to `headSHA`, `issue_id` to `issueID`, else lower camel case: the API conventions' spelling."""
    return re.sub(r"(Sha|Id)(?=s?$)", lambda match: match[1].upper(), to_camel(name))


class Model(BaseModel):
    """A part of an object. Unknown fields are dropped on reading: the API server has validated what it stores."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=api_name, populate_by_name=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic does it, in a fraction of the time: ours have no private or extra fields."""
        if deep:
            return super().model_copy(update=update, deep=True)
        changed = update or {}
        copied = object.__new__(type(self))
        parts = {
            "__dict__": {**self.__dict__, **changed},
            "__pydantic_fields_set__": self.__pydantic_fields_set__ | changed.keys(),
            "__pydantic_extra__": None,
            "__pydantic_private__": None,
        }
        for name, value in parts.items():
            object.__setattr__(copied, name, value)
        return copied

    def dump(self, *, only: set[str] | None = None) -> dict[str, Any]:
        """As the API has it: camel case, absent fields left out. `only`: just these, by their Python names."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, include=only)


_NONE = timedelta()


def rfc3339(time: datetime) -> str:
    """Whole seconds in UTC with a `Z`: the API server compares times as strings."""
    utc = time if time.utcoffset() == _NONE else time.astimezone(UTC)
    return f"{utc.isoformat()[:19]}Z"


def list_map(*keys: str) -> dict[str, Any]:
    """JSON schema of a list that is a map by these fields, so that rules can compare an entry with its predecessor."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def bounded_map(keys: Iterable[str]) -> dict[str, Any]:
    """JSON schema of a map that has these keys only. The API server sees to it; a reader ignores the others."""
    names = list(keys)
    return {"maxProperties": len(names), "propertyNames": {"enum": names}}


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), Field(json_schema_extra={"format": "date-time"})]
ForeignTime = Annotated[str, Field(max_length=40)]
"""Another system's time, kept letter by letter and compared with its own only."""
Name = Annotated[str, Field(min_length=1, max_length=63)]
ItemName = Annotated[str, Field(min_length=1, max_length=MAX_ITEM_NAME)]
ItemNameOrNone = Annotated[str, Field(max_length=MAX_ITEM_NAME)]
"""Empty where there is no item to name."""
RepositoryName = Annotated[str, Field(min_length=1, max_length=MAX_REPOSITORY_NAME)]
Uid = Annotated[str, Field(max_length=64)]
Sha = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]*$")]
Branch = Annotated[str, Field(max_length=255)]
Word = Annotated[str, Field(max_length=64)]
Line = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=1024)]
Url = Annotated[str, Field(max_length=2048)]


class Condition(Model):
    """metav1.Condition."""

    type: Word = Field(description="Type of the condition, unique in its list.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that was looked at.")
    last_transition_time: Time = Field(description="When `status` last changed.")
    reason: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="One word for programs, in CamelCase."
    )
    message: Text = Field(description="For people: what was wanted, what was found, what to do.")
