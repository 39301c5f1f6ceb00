"""The ways that are gone through. What a way asks for and must come to is data."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.faults.agents import IMAGE
from tests.faults.cases import Scenario
from tests.faults.judge import ROLES, WAY, Expected
from tests.faults.objects import HEALTHY
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
    expected=replace(PLAIN.expected, commits=("Other work", *PLAIN.expected.commits), moves=2, coverage=True),
)
"""The same, but others were faster: rebase and test again; and the coverage mark is raised."""

WHOLE = Scenario(
    name="whole",
    spec={
        "gates": {
            **AUTO,
            "coverage": {"enabled": True},
            "image": {"enabled": True, "template": job_template("image"), "repository": IMAGE.partition("@")[0]},
        },
        "staging": {"template": job_template("staging")},
        "deploy": {"template": job_template("deploy"), "rollbackTemplate": job_template("rollback")},
        "monitor": {"windowSeconds": 2, "intervalSeconds": 1, "probes": [{"url": HEALTHY}]},
    },
    beside=MOVED.beside,
    expected=replace(MOVED.expected, jobs=(*ROLES, "Image", "Staging", "Production")),
)
"""All there is: rebase, image, staging, merge, ratchet, production, and a watch over it."""

FAILING = Scenario(
    name="failing",
    spec={
        "gates": AUTO,
        "deploy": {
            "template": job_template("deploy"),
            "rollbackTemplate": job_template("rollback"),
            "onFailure": "Hold",
        },
    },
    before=PLAIN,
    failing=frozenset({"Production"}),
    expected=replace(
        PLAIN.expected,
        jobs=(*ROLES, "Production", "Rollback"),
        stages=WAY[:-1],
        stalled="DeployFailed",
        deployed=False,
    ),
    since="item: intent Production",
)
"""The deploy fails: freeze, rollback, and then a person's decision."""

HEARD = replace(PLAIN, name="heard", watches=True)
"""The plain way, of which not the writes are disturbed but what is heard."""

SCENARIOS = {scenario.name: scenario for scenario in (PLAIN, MOVED, WHOLE, FAILING, HEARD)}
ALL = [WHOLE.name, FAILING.name, HEARD.name]
"""Those that together have every write there is; the others are parts of them."""
