"""The page of settings is what the models say, and says something of each."""

from conveyor.app.settings import Settings, variable
from conveyor.app.settings_page import settings_page
from conveyor_ingress.settings import Settings as IngressSettings
from scripts.generate import ROOT

PAGE = settings_page(("Operator", Settings), ("Ingress", IngressSettings))


def test_page_is_up_to_date() -> None:
    assert (ROOT / "docs/settings.md").read_text() == PAGE, "docs/settings.md is stale: run scripts/generate"


def test_every_setting_of_the_design_is_on_the_page() -> None:
    headings = {line.strip("# `") for line in PAGE.splitlines() if line.startswith("### ")}
    fields = [*Settings.model_fields, *IngressSettings.model_fields]
    assert headings == {variable(name) for name in fields}
    assert headings >= {f"CONVEYOR_{name}" for name in DESIGN.split()}


def test_every_setting_is_described() -> None:
    bare = [name for name, field in Settings.model_fields.items() if len(field.description or "") < 40]
    assert bare == []


DESIGN = """
TRANSITION_LEASE_ENABLED TRANSITION_LEASE_REPOSITORIES TRANSITION_LEASE_SECONDS SERIAL_GATE_ENABLED
SERIAL_GATE_REPOSITORIES FREEZE_ENABLED DEPENDENCIES_ENABLED DEPENDENCIES_SOURCE PREMERGE_REBASE_ALWAYS
RECONCILE_ENABLED RECONCILE_TRACKER_ENABLED RECONCILE_SKIP_BLOCKED_ENABLED RECONCILE_INTERVAL_SECONDS
GRACE_DEFAULT_SECONDS TRACKER_STATES_TTL_SECONDS TRACKER_REQUESTS_PER_MINUTE MAX_CONCURRENT_RUNS
REAPER_MAX_RUNNING_SECONDS RETENTION_DAYS ALLOWED_HOSTS NAMESPACES EVENTS_ENABLED HTTP_ADDRESS INGRESS_ADDRESS
INGRESS_OPS_ADDRESS INGRESS_SECRETS_DIR INGRESS_MAX_BODY_BYTES INGRESS_PUBLIC_URL AGENT_TOOLS_IMAGE
DEFAULT_AGENTS_FILE
"""
"""The names that are promised to users, whatever becomes of the fields."""
