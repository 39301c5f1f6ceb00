"""What the API server's answer to a request means: pure functions of status and body.

| status | a write | a read, a deletion |
|---|---|---|
| 2xx | Won | the object |
| 409 (Conflict, AlreadyExists), 404 of the object | Lost | NotFound, Conflict |
| 3xx, which is followed nowhere: who sent it says nothing of the store | Uncertain | Unavailable, Ambiguous |
| other 4xx, and 500 "request is too large" (measured: permanent in a transient's dress) | Rejected | Refused |
| 404 of the resource: its API is not served now | raises Unavailable | Unavailable |
| other 5xx | Uncertain | Unavailable for reads, Ambiguous |
"""

from __future__ import annotations

import re

from conveyor.cluster.connection import Reply
from conveyor.cluster.protocol import JSONObject, Lost, Rejected, Uncertain, Won, Written
from conveyor.web.errors import Ambiguous, Conflict, NotFound, OutsideError, Refused, Unavailable

MAX_MESSAGE = 400
_STRICT = "strict decoding error"
_VALUE = re.compile(r"Invalid value: (?:\"(?:[^\"\\]|\\.){64,}\"|\{.*\}|\[.*\])(?=: )", re.DOTALL)


def is_ok(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def written(reply: Reply, wanted: str) -> Written:
    """Raises Unavailable where the API is not served, so that nothing can have been stored."""
    if is_ok(reply):
        return Won(without_managed_fields(reply.body))
    match failure(reply, wanted):
        case NotFound() | Conflict():
            return Lost()
        case Refused() as refused:
            return Rejected(str(refused))
        case Ambiguous() as ambiguous:
            return Uncertain(str(ambiguous))
        case other:
            raise other


def failure(reply: Reply, wanted: str, *, reading: bool = False, secret: bool = False) -> OutsideError:
    """The error that an answer of 300 and above stands for. `secret` leaves out whatever the API server says."""
    text = f"{wanted}: {reply.status} {reason(reply.body)}" + ("" if secret else f": {explanation(reply.body)}")
    match reply.status:
        case 404 if _names_the_object(reply.body):
            return NotFound(text, status=404)
        case 404:
            return Unavailable(
                f"{wanted}: the API server does not serve this resource: are the CRDs there?", status=404
            )
        case 409:
            return Conflict(text, status=409)
        case status if status < 400 or (status >= 500 and not _too_large(reply.body)):
            return Unavailable(text, status=status) if reading else Ambiguous(text, status=status)
        case status:
            return Refused(text, status=status)


def reason(body: JSONObject) -> str:
    return str(body.get("reason") or "")


def explanation(body: JSONObject) -> str:
    """What a person needs of a Status: short, and without the objects that strict validation and schemas repeat."""
    message = str(body.get("message") or "no message")
    if _STRICT in message:
        message = message[message.index(_STRICT) :]
    return _VALUE.sub("Invalid value", message)[:MAX_MESSAGE]


def without_managed_fields(obj: JSONObject) -> JSONObject:
    """The object itself, lightened: they are a third of it. Of who applies it server-side the name alone stays."""
    metadata = obj.get("metadata", {})
    appliers = [entry for entry in metadata.pop("managedFields", None) or () if entry.get("operation") == "Apply"]
    if appliers:
        metadata["managedFields"] = [{"manager": entry.get("manager", ""), "operation": "Apply"} for entry in appliers]
    return obj


def _names_the_object(body: JSONObject) -> bool:
    """Of an unknown resource the API server says "404 page not found", or a Status that names nothing."""
    details = body.get("details")
    return isinstance(details, dict) and bool(details.get("name"))


def _too_large(body: JSONObject) -> bool:
    return "too large" in str(body.get("message", ""))
