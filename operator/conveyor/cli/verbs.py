"""What a person asks for: a request in an annotation, or a field of spec, written with that person's own rights.

The operator answers a request in `status.handledRequests`, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conveyor.api.annotations import REQUEST_PREFIX, Verb
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.cli.api import Api, Entry, JSONObject, Unreadable, read_item
from conveyor.cli.asking import OK, REFUSED, UNANSWERED, Outcome, Patience, answered, echo, new_id, request, wait_for
from conveyor.cli.text import clean


@dataclass(frozen=True, slots=True)
class Ask:
    """One verb: what it writes, and what it says when nobody has to answer."""

    verb: Verb | None = None
    spec: Mapping[str, bool] = field(default_factory=dict)
    done: str = ""


ASKS: Mapping[str, Ask] = {
    "approve": Ask(Verb.APPROVE),
    "reject": Ask(Verb.REJECT),
    "resume": Ask(Verb.RESUME, spec={"suspend": False}, done="no longer held"),
    "retry": Ask(Verb.RETRY),
    "rework": Ask(Verb.REWORK),
    "refresh": Ask(Verb.REFRESH),
    "hold": Ask(spec={"suspend": True}, done="held"),
    "cancel": Ask(spec={"cancel": True}),
    "release-lease": Ask(Verb.RELEASE_LEASE),
    "override": Ask(Verb.OVERRIDE),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, of whom, in which words. `move` is of an override: the stage it is to be in, or both."""

    verb: str
    name: str
    reason: str = ""
    move: str = ""


async def ask(api: Api, namespace: str, wish: Wish, *, patience: Patience) -> Outcome:
    """Write it, and wait for the answer. Raises TooLong, and `conveyor.web.errors`."""
    wanted = ASKS[wish.verb]
    before = read_item(await api.workitem(namespace, wish.name))
    text = _text(wish, before)
    spec = _changed_spec(wanted, before)
    identity = new_id() if _has_to_be_asked(wanted, before, spec) else ""
    patch: JSONObject = {"spec": spec} if spec else {}
    if wanted.verb is not None and identity:
        value = request(identity, by=await api.user(), text=text)
        patch["metadata"] = {"annotations": {REQUEST_PREFIX + wanted.verb.value: value}}
    after = await api.patch(namespace, wish.name, patch) if patch else await api.workitem(namespace, wish.name)
    who = f"{wish.verb} {wish.name}"
    if not identity and wish.verb != "cancel":
        return Outcome(OK, f"{who}: {wanted.done}")
    judge = _answer_to(wanted.verb, who, identity)
    found, last = await wait_for(judge, lambda: api.workitem(namespace, wish.name), first=after, patience=patience)
    if found is None and patience.seconds <= 0:
        return Outcome(OK, f"{who}: asked for")
    return found or Outcome(UNANSWERED, f"{who}: {_no_answer(last, patience.seconds)}")


def _text(wish: Wish, before: Entry) -> str:
    """An override without the stage it starts from starts from where the item is now."""
    if not wish.move:
        return wish.reason
    stage = before.stage if isinstance(before, Unreadable) else before.status.stage
    move = wish.move if ">" in wish.move else f"{stage or Stage.CREATED.value}>{wish.move}"
    return f"{move} {wish.reason}"


def _changed_spec(wanted: Ask, before: Entry) -> dict[str, bool]:
    """Nothing is written that is so already: a change of spec makes everybody look again."""
    if isinstance(before, Unreadable):
        return dict(wanted.spec)
    now = {"suspend": before.spec.suspend, "cancel": before.spec.cancel}
    return {name: value for name, value in wanted.spec.items() if now[name] != value}


def _has_to_be_asked(wanted: Ask, before: Entry, spec: Mapping[str, bool]) -> bool:
    """Resuming a held item that nothing else holds is no request: it would be refused."""
    if wanted.verb != Verb.RESUME or not spec or isinstance(before, Unreadable):
        return wanted.verb is not None
    last = before.status.last_run
    return before.status.stalled is not None or (last is not None and bool(last.question))


def _answer_to(verb: Verb | None, who: str, identity: str) -> Callable[[JSONObject], Outcome | None]:
    """What counts as the answer: the echo, or the end of a cancelled item."""

    def judge(obj: JSONObject) -> Outcome | None:
        item = read_item(obj)
        if isinstance(item, Unreadable):
            return Outcome(UNANSWERED, f"{who}: stored, but the answer cannot be read: {clean(item.problem)}")
        if verb is None:
            return _ended(item, who)
        result = echo(obj, verb.value, identity)
        return answered(who, result) if result is not None else None

    return judge


def _ended(item: WorkItem, who: str) -> Outcome | None:
    match item.status.stage:
        case Stage.CANCELLED:
            return Outcome(OK, f"{who}: cancelled")
        case Stage.DONE:
            return Outcome(REFUSED, f"{who}: Refused: the item is done")
        case _:
            return None


def _no_answer(obj: JSONObject, seconds: float) -> str:
    item = read_item(obj)
    waiting = item.status.waiting if isinstance(item, WorkItem) else None
    state = f" (it waits: {clean(waiting.message)})" if waiting is not None else ""
    return f"asked for, but not answered within {seconds:g} s{state}: is the operator running?"
