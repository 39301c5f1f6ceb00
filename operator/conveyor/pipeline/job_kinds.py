"""The effects that are Jobs, one entry each: whose template it is, how long it may take, what people are told.

What the end of each means is in `effect_jobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from conveyor.api.repository import RepositorySpec
from conveyor.api.workitem import Effect

IMAGE_SECONDS = 1800
"""How long an image build may take, unless its template's own `spec.activeDeadlineSeconds` says otherwise."""
LONGEST_SECONDS = 7 * 86400
OVERTIME_SECONDS = 60
"""How long past its pod's time limit a Job may take: for a pod that does not start, and for one that is slow to end."""

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobKind:
    what: str
    """As people read it, after an article."""
    gate: str
    """The gate whose word its end is; empty: none's."""
    limited_by: str
    """The Repository's field that limits its time."""
    template: Callable[[RepositorySpec], Template]
    """Empty: the Repository wants none."""
    seconds: Callable[[RepositorySpec], int]
    """How long its pod may be at work."""


def _image_template(spec: RepositorySpec) -> Template:
    return spec.gates.image.template if spec.gates.image.enabled else {}


def _image_seconds(spec: RepositorySpec) -> int:
    inner = spec.gates.image.template.get("spec")
    own = inner.get("activeDeadlineSeconds") if isinstance(inner, dict) else None
    return min(own, LONGEST_SECONDS) if isinstance(own, int) and own > 0 else IMAGE_SECONDS


JOB_KINDS: Mapping[Effect, JobKind] = {
    Effect.IMAGE: JobKind(
        what="image build",
        gate="image_fresh",
        limited_by="gates.image.template.spec.activeDeadlineSeconds",
        template=_image_template,
        seconds=_image_seconds,
    ),
    Effect.STAGING: JobKind(
        what="staging Job",
        gate="staging_healthy",
        limited_by="staging.timeoutSeconds",
        template=lambda spec: spec.staging.template,
        seconds=lambda spec: spec.staging.timeout_seconds,
    ),
    Effect.PRODUCTION: JobKind(
        what="deploy Job",
        gate="deploy_status",
        limited_by="deploy.timeoutSeconds",
        template=lambda spec: spec.deploy.template,
        seconds=lambda spec: spec.deploy.timeout_seconds,
    ),
    Effect.ROLLBACK: JobKind(
        what="rollback Job",
        gate="",
        limited_by="deploy.timeoutSeconds",
        template=lambda spec: spec.deploy.rollback_template,
        seconds=lambda spec: spec.deploy.timeout_seconds,
    ),
}


def is_wanted(spec: RepositorySpec, effect: Effect) -> bool:
    return bool(JOB_KINDS[effect].template(spec))


def whole_seconds(spec: RepositorySpec, effect: Effect) -> int:
    """How long the Job may take, its own end included."""
    return JOB_KINDS[effect].seconds(spec) + OVERTIME_SECONDS
