"""Stages and edges: the one table from which the code and the CRD's rules are both made."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where an item is. `done` and `cancelled` are terminal and never left."""

    CREATED = "created"
    ANALYSIS = "analysis"
    ARCHITECTURE = "architecture"
    DEVELOPMENT = "development"
    REVIEW = "review"
    TESTING = "testing"
    DEPLOY_STAGING = "deploy-staging"
    DEPLOY = "deploy"
    DONE = "done"
    CANCELLED = "cancelled"


FIRST = Stage.CREATED
TERMINAL = frozenset({Stage.DONE, Stage.CANCELLED})

EDGES: dict[Stage, frozenset[Stage]] = {
    Stage.CREATED: frozenset({Stage.ANALYSIS, Stage.CANCELLED}),
    Stage.ANALYSIS: frozenset({Stage.ARCHITECTURE, Stage.CANCELLED}),
    Stage.ARCHITECTURE: frozenset({Stage.DEVELOPMENT, Stage.CANCELLED}),
    Stage.DEVELOPMENT: frozenset({Stage.REVIEW, Stage.DONE, Stage.CANCELLED}),
    Stage.REVIEW: frozenset({Stage.TESTING, Stage.DEVELOPMENT, Stage.DONE, Stage.CANCELLED}),
    Stage.TESTING: frozenset({Stage.DEPLOY_STAGING, Stage.DEVELOPMENT, Stage.REVIEW, Stage.DONE, Stage.CANCELLED}),
    Stage.DEPLOY_STAGING: frozenset({Stage.DEPLOY, Stage.DEVELOPMENT, Stage.REVIEW, Stage.DONE, Stage.CANCELLED}),
    Stage.DEPLOY: frozenset({Stage.DONE, Stage.DEVELOPMENT, Stage.CANCELLED}),
    Stage.DONE: frozenset(),
    Stage.CANCELLED: frozenset(),
}


def edge_allowed(from_stage: Stage | None, to_stage: Stage | None, *, new_override: bool = False) -> bool:
    """Whether one status write may move an item so; None is a status without a stage.

    `new_override` means that the same write carries an override with a new id that names exactly this move.
    """
    if from_stage is None:
        return to_stage in (None, FIRST)
    if to_stage is None:
        return False
    if from_stage == to_stage:
        return True
    if from_stage in TERMINAL:
        return False
    return new_override or to_stage in EDGES[from_stage]


class Role(StrEnum):
    """Who works in a run."""

    ANALYST = "analyst"
    ARCHITECT = "architect"
    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    TESTER = "tester"


ROLE_OF_STAGE: dict[Stage, Role] = {
    Stage.ANALYSIS: Role.ANALYST,
    Stage.ARCHITECTURE: Role.ARCHITECT,
    Stage.DEVELOPMENT: Role.DEVELOPER,
    Stage.REVIEW: Role.REVIEWER,
    Stage.TESTING: Role.TESTER,
}

WRITERS = frozenset({Role.ANALYST, Role.ARCHITECT, Role.DEVELOPER})
"""The roles whose commits are pushed; what the others commit is dropped."""
