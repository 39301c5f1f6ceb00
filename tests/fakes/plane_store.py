"""The fake Plane's records and the only functions that change them.

Each change goes to the ledger and, as a job, to the worker that sends webhooks.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from tests.fakes.clock import Clock
from tests.fakes.plane_checks import found, state_of_project, twin_of
from tests.fakes.plane_ledger import Effect, Ledger
from tests.fakes.plane_records import (
    GROUPS,
    INVERSE_RELATIONS,
    Announcement,
    Comment,
    Duplicate,
    Job,
    Json,
    Label,
    Project,
    Refused,
    State,
    Ticket,
    User,
    Writer,
    new_id,
)

PLAIN_FIELDS = ("name", "description_html", "priority", "parent", "external_id", "external_source")


class Store:
    def __init__(self, clock: Clock, *, enqueue: Callable[[Job], None]) -> None:
        self.workspace_id = new_id()
        self.users: dict[str, User] = {}
        self.labels: dict[str, Label] = {}
        self.projects: dict[str, Project] = {}
        self.tickets: dict[str, Ticket] = {}
        self.comments: dict[str, Comment] = {}
        self.ledger = Ledger()
        self.api_sends_webhooks = True
        self.ui_state_fields: tuple[str, ...] = ("state_id",)
        self._clock = clock
        self._enqueue = enqueue
        self._last_stamp = datetime.min.replace(tzinfo=clock.now().tzinfo)

    def stamp(self) -> datetime:
        """Now, but later than any time given before: no two changes share one."""
        self._last_stamp = max(self._clock.now(), self._last_stamp + timedelta(microseconds=1))
        return self._last_stamp

    def project(self, project_id: str) -> Project:
        return found(self.projects, project_id)

    def ticket(self, ticket_id: str) -> Ticket:
        return found(self.tickets, ticket_id)

    def comments_of(self, ticket_id: str) -> list[Comment]:
        """Oldest first."""
        return [comment for comment in self.comments.values() if comment.ticket_id == ticket_id]

    def add_user(self, name: str) -> User:
        user = User(display_name=name, first_name=name.capitalize())
        self.users[user.id] = user
        return user

    def add_label(self, name: str) -> Label:
        for label in self.labels.values():
            if label.name == name:
                return label
        label = Label(name)
        self.labels[label.id] = label
        return label

    def add_project(self, name: str, identifier: str, *, states: tuple[tuple[str, str], ...]) -> Project:
        unknown = {group for _, group in states} - set(GROUPS)
        if unknown or not states:
            raise ValueError(f"wanted states of the groups {GROUPS}, found {states}")
        rows = tuple(
            State(name=state, group=group, sequence=15000 + 10000 * index, default=index == 0)
            for index, (state, group) in enumerate(states)
        )
        project = Project(name=name, identifier=identifier, states=rows, created_at=self.stamp())
        self.projects[project.id] = project
        return project

    def add_ticket(self, project_id: str, values: Json, *, by: Writer) -> Ticket:
        project = self.project(project_id)
        checked = self._checked(project, values)
        twin = twin_of(values, [ticket for ticket in self.tickets.values() if ticket.project_id == project_id])
        if twin:
            raise Duplicate("Issue", twin)
        if not checked.get("name"):
            raise Refused({"name": ["This field is required."]})
        project.last_sequence_id += 1
        fields: Json = {"state_id": project.default_state.id} | checked
        ticket = Ticket(
            project_id=project_id,
            identifier=project.identifier,
            sequence_id=project.last_sequence_id,
            created_by=by.user,
            created_at=self.stamp(),
            updated_at=self.stamp(),
            **fields,
        )
        self.tickets[ticket.id] = ticket
        self._record(ticket, "created", None, ticket.name, by=by)
        self._tell(ticket, [Announcement("issue", ticket.id, by.user)], by=by)
        return ticket

    def change_ticket(self, ticket_id: str, values: Json, *, by: Writer) -> Ticket:
        """Set fields as PATCH does: `updated_at` moves even if nothing else does; one event per changed key."""
        ticket = self.ticket(ticket_id)
        checked = self._checked(self.project(ticket.project_id), values)
        announcements: list[Announcement] = []
        for field, new in checked.items():
            old = getattr(ticket, field)
            if old == new:
                continue
            setattr(ticket, field, new)
            announcements += self._changed(ticket, field, old=old, new=new, by=by)
        ticket.updated_at, ticket.updated_by = self.stamp(), by.user
        self._tell(ticket, announcements, by=by)
        return ticket

    def add_comment(self, ticket_id: str, values: Json, *, by: Writer) -> Comment:
        ticket = self.ticket(ticket_id)
        markup = values.get("comment_html")
        if not isinstance(markup, str) or not markup:
            raise Refused({"comment_html": ["This field is required."]})
        twin = twin_of(values, self.comments_of(ticket_id))
        if twin:
            raise Duplicate("Issue Comment", twin)
        comment = Comment(
            ticket_id=ticket_id,
            project_id=ticket.project_id,
            actor=by.user,
            html=markup,
            created_at=self.stamp(),
            updated_at=self.stamp(),
            access=str(values.get("access") or "INTERNAL"),
            external_id=values.get("external_id"),
            external_source=values.get("external_source"),
        )
        self.comments[comment.id] = comment
        self._record(ticket, "comment", None, markup, by=by)
        self._enqueue(Job(ticket_id, (Announcement("issue_comment", comment.id, by.user),)))
        return comment

    def relate(self, ticket_id: str, kind: str, others: list[str], *, by: Writer) -> None:
        """No event goes out, and what exists already is passed over."""
        ticket = self.ticket(ticket_id)
        if kind not in INVERSE_RELATIONS:
            raise Refused({"relation_type": [f'"{kind}" is not a valid choice.']})
        for other in [self.ticket(other_id) for other_id in others]:
            if (kind, other.id) not in ticket.relations:
                ticket.relations.append((kind, other.id))
                other.relations.append((INVERSE_RELATIONS[kind], ticket.id))
                self._record(ticket, "relation", None, f"{kind} {other.key}", by=by)
        self._enqueue(Job(ticket_id))

    def unrelate(self, ticket_id: str, other_id: str, *, by: Writer) -> None:
        ticket, other = self.ticket(ticket_id), self.ticket(other_id)
        ticket.relations = [relation for relation in ticket.relations if relation[1] != other_id]
        other.relations = [relation for relation in other.relations if relation[1] != ticket_id]
        self._record(ticket, "relation", other.key, None, by=by)
        self._enqueue(Job(ticket_id))

    def delete_ticket(self, ticket_id: str, *, by: Writer) -> None:
        """No event goes out in the versions read."""
        ticket = self.ticket(ticket_id)
        del self.tickets[ticket_id]
        for other in self.tickets.values():
            other.relations = [relation for relation in other.relations if relation[1] != ticket_id]
        self._record(ticket, "deleted", ticket.name, None, by=by)

    def archive_ticket(self, ticket_id: str, *, by: Writer) -> None:
        ticket = self.ticket(ticket_id)
        ticket.archived_at = self.stamp()
        self._record(ticket, "archived", None, ticket.name, by=by)
        self._enqueue(Job(ticket_id))

    def touch(self, ticket_id: str) -> None:
        if ticket_id in self.tickets:
            self.tickets[ticket_id].updated_at = self.stamp()

    def _checked(self, project: Project, values: Json) -> Json:
        """Known keys of a request as fields of a Ticket; assignees and labels nobody knows are dropped silently."""
        fields: Json = {key: values[key] for key in PLAIN_FIELDS if key in values}
        if "state" in values:
            fields["state_id"] = state_of_project(project, values["state"])
        if "assignees" in values:
            fields["assignees"] = [self.users[key] for key in values["assignees"] if key in self.users]
        if "labels" in values:
            fields["labels"] = [self.labels[key] for key in values["labels"] if key in self.labels]
        return fields

    def _changed(self, ticket: Ticket, field: str, *, old: object, new: object, by: Writer) -> list[Announcement]:
        if field == "state_id":
            return self._state_changed(ticket, str(old), new=str(new), by=by)
        if field in ("assignees", "labels"):
            old, new = ([entry.id for entry in entries] for entries in (old, new))  # type: ignore[attr-defined]
        self._record(ticket, field, str(old), str(new), by=by)
        return [Announcement("issue", ticket.id, by.user, action="updated", field=field, old=old, new=new)]

    def _state_changed(self, ticket: Ticket, old: str, *, new: str, by: Writer) -> list[Announcement]:
        """In the UI the key is `state_id` (in old versions `state`, with names), through the API `state` with ids."""
        project = self.project(ticket.project_id)
        before, after = project.state(old), project.state(new)
        ticket.completed_at = self.stamp() if after.group == "completed" else None
        self._record(ticket, "state", before.name, after.name, by=by)
        fields = self.ui_state_fields if by.via == "ui" else ("state",)
        named = by.via == "ui"
        return [
            Announcement("issue", ticket.id, by.user, "updated", field, before.name, after.name, before.id, after.id)
            if field == "state" and named
            else Announcement("issue", ticket.id, by.user, "updated", field, before.id, after.id)
            for field in fields
        ]

    def _record(self, ticket: Ticket, what: str, old: str | None, new: str | None, *, by: Writer) -> None:
        self.ledger.append(
            Effect(self._clock.now(), by.user.display_name, by.via, ticket=ticket.key, what=what, old=old, new=new)
        )

    def _tell(self, ticket: Ticket, announcements: list[Announcement], *, by: Writer) -> None:
        silent = by.via == "api" and not self.api_sends_webhooks
        self._enqueue(Job(ticket.id, () if silent else tuple(announcements)))
