"""The ways that are gone through. What a way asks for and must come to is data."""

from collections.abc import Mapping
from typing import Any

from tests.faults.cases import Scenario
from tests.faults.judge import Expected
from tests.faults.project import Project

AUTO = {"approval": {"analysis": "Auto", "deploy": "Auto"}}


def job_template(name: str) -> Mapping[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": f"{name}:1"}]}}


PLAIN = Scenario(
    name="plain",
    spec={"gates": AUTO, "deploy": {"template": job_template("deploy")}},
    expected=Expected(),
)
"""Branch, five runs, pull request, merge, production."""

MOVED = Scenario(
    name="moved",
    spec={**PLAIN.spec, "gates": {**AUTO, "coverage": {"enabled": True}}},
    beside={"tester": Project.move_main},
    expected=Expected(commits=("Other work", *Expected().commits), moves=2),
)
"""The same, but others were faster: rebase and test again; and the coverage mark is raised."""

SCENARIOS = {scenario.name: scenario for scenario in (PLAIN, MOVED)}
