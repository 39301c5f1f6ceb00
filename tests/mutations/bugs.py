"""All seeded bugs, and the tests that have to find them."""

from __future__ import annotations

from tests.mutations.deciding import DECIDING
from tests.mutations.landing import LANDING
from tests.mutations.owning import OWNING
from tests.mutations.sending import SENDING
from tests.mutations.writing import WRITING

SUBSET = (
    "tests/unit/pipeline/test_effects.py",
    "tests/unit/pipeline/test_effect_jobs.py",
    "tests/unit/pipeline/test_retried_jobs.py",
    "tests/unit/pipeline/test_production_job.py",
    "tests/unit/pipeline/test_answers.py",
    "tests/unit/pipeline/test_gates.py",
    "tests/unit/pipeline/test_lane.py",
    "tests/unit/pipeline/test_deploy.py",
    "tests/unit/pipeline/test_rebase.py",
    "tests/unit/pipeline/test_coverage.py",
    "tests/unit/cluster/test_conditions.py",
    "tests/unit/cluster/test_connection.py",
    "tests/unit/web/test_client.py",
    "tests/unit/forge/test_gitea.py",
    "tests/unit/engine/test_identity.py",
    "tests/unit/engine/test_leases.py",
    "tests/unit/engine/test_manifests.py",
    "tests/unit/engine/test_workers.py",
    "tests/unit/engine/test_effects.py",
    "tests/unit/engine/test_old_cache.py",
    "tests/unit/engine/test_late_jobs.py",
    "tests/unit/engine/test_admission.py",
    "tests/unit/engine/test_reaper.py",
    "tests/unit/engine/test_leased.py",
    "tests/unit/engine/test_holding.py",
    "tests/unit/engine/test_deploying.py",
    "tests/unit/engine/test_gates_changed.py",
    "tests/unit/engine/test_other_merges.py",
    "tests/unit/engine/test_deploy_lease.py",
    "tests/unit/engine/test_deploy_on_record.py",
    "tests/unit/engine/test_tickets_ended.py",
    "tests/unit/engine/test_late_pulls.py",
    "tests/unit/engine/test_whole_way.py",
)
"""Without what is marked slow: green as it is, in three minutes at the most, and red with each bug."""
BUGS = SENDING + WRITING + OWNING + DECIDING + LANDING
