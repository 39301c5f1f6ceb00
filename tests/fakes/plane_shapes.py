"""The JSON of the fake Plane's records, as REST and as webhooks show them."""

import html
import re
from collections.abc import Collection
from datetime import datetime

from tests.fakes.plane_records import INVERSE_RELATIONS, Comment, Json, Label, Project, State, Ticket, User

_TAG = re.compile(r"<[^>]*>")


def iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def plain(markup: str) -> str:
    """Text without tags, entities resolved: to be escaped anew wherever it is shown."""
    return html.unescape(_TAG.sub("", markup))


def user_json(user: User) -> Json:
    return {
        "id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "avatar": "",
        "avatar_url": None,
        "display_name": user.display_name,
    }


def state_lite(state: State) -> Json:
    return {"id": state.id, "name": state.name, "color": state.color, "group": state.group}


def state_json(state: State, project: Project, workspace_id: str) -> Json:
    return {
        **state_lite(state),
        "created_at": iso(project.created_at),
        "updated_at": iso(project.created_at),
        "deleted_at": None,
        "description": "",
        "slug": state.name.lower().replace(" ", "-"),
        "sequence": float(state.sequence),
        "is_triage": False,
        "default": state.default,
        "external_source": None,
        "external_id": None,
        "created_by": None,
        "updated_by": None,
        "project": project.id,
        "workspace": workspace_id,
    }


def project_json(project: Project, workspace_id: str) -> Json:
    return {
        "id": project.id,
        "name": project.name,
        "identifier": project.identifier,
        "description": "",
        "network": 2,
        "created_at": iso(project.created_at),
        "updated_at": iso(project.created_at),
        "default_state": project.default_state.id,
        "archived_at": None,
        "workspace": workspace_id,
    }


def label_json(label: Label) -> Json:
    return {"id": label.id, "name": label.name, "color": label.color}


def _ticket_common(ticket: Ticket, workspace_id: str) -> Json:
    return {
        "id": ticket.id,
        "created_at": iso(ticket.created_at),
        "updated_at": iso(ticket.updated_at),
        "deleted_at": None,
        "point": None,
        "name": ticket.name,
        "description_html": ticket.description_html,
        "description_binary": None,
        "priority": ticket.priority,
        "start_date": None,
        "target_date": None,
        "sequence_id": ticket.sequence_id,
        "sort_order": 65535.0 + 10000.0 * ticket.sequence_id,
        "completed_at": iso(ticket.completed_at),
        "archived_at": None if ticket.archived_at is None else ticket.archived_at.date().isoformat(),
        "is_draft": ticket.is_draft,
        "external_source": ticket.external_source,
        "external_id": ticket.external_id,
        "created_by": ticket.created_by.id,
        "updated_by": ticket.updated_by.id if ticket.updated_by else None,
        "project": ticket.project_id,
        "workspace": workspace_id,
        "parent": ticket.parent,
        "estimate_point": None,
        "type": None,
    }


def ticket_rest(ticket: Ticket, project: Project, workspace_id: str, *, expand: Collection[str] = ()) -> Json:
    """A work item in a REST answer: bare ids, but for what `expand` names."""
    return _ticket_common(ticket, workspace_id) | {
        "state": state_lite(project.state(ticket.state_id)) if "state" in expand else ticket.state_id,
        "labels": [label_json(label) if "labels" in expand else label.id for label in ticket.labels],
        "assignees": [user_json(user) if "assignees" in expand else user.id for user in ticket.assignees],
        "project": project_json(project, workspace_id) if "project" in expand else ticket.project_id,
    }


def ticket_data(ticket: Ticket, project: Project, workspace_id: str) -> Json:
    """A work item as `data` of a webhook: state, labels and assignees are objects."""
    return _ticket_common(ticket, workspace_id) | {
        "cycle": None,
        "module": None,
        "labels": [label_json(label) for label in ticket.labels],
        "assignees": [user_json(user) for user in ticket.assignees],
        "state": state_lite(project.state(ticket.state_id)),
        "description": {},
        "description_json": {},
        "description_stripped": plain(ticket.description_html),
    }


def comment_json(comment: Comment, workspace_id: str) -> Json:
    """A comment, in REST answers and in webhooks alike."""
    return {
        "id": comment.id,
        "created_at": iso(comment.created_at),
        "updated_at": iso(comment.updated_at),
        "deleted_at": None,
        "comment_stripped": plain(comment.html),
        "comment_html": comment.html,
        "attachments": [],
        "access": comment.access,
        "external_source": comment.external_source,
        "external_id": comment.external_id,
        "edited_at": None,
        "created_by": comment.actor.id,
        "updated_by": None,
        "project": comment.project_id,
        "workspace": workspace_id,
        "description": comment.description_id,
        "issue": comment.ticket_id,
        "actor": comment.actor.id,
        "parent": None,
    }


def relations_json(ticket: Ticket, *, as_objects: bool) -> Json:
    """Lists of ids or, in other versions, of objects; ticket and relations are in one project here."""
    lists: Json = {kind: [] for kind in INVERSE_RELATIONS}
    for kind, other in ticket.relations:
        lists[kind].append({"project_id": ticket.project_id, "issue_id": other} if as_objects else other)
    return lists
