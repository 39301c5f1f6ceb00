"""What the demo is about: three tickets in two projects, each with a code repository of the same name in lower case."""

from dataclasses import dataclass

NAMESPACE = "demo"
OWNER = "acme"
CONTEXT = "ci/test"


@dataclass(frozen=True)
class Project:
    """A project of the tracker, its code repository, and the Repository object that ties them together."""

    repository: str
    identifier: str
    name: str
    monitored: bool = False
    """Whether its manifest has an image, a staging deploy and a monitor."""


@dataclass(frozen=True)
class Ticket:
    key: str
    title: str
    text: str
    blocked_by: str = ""

    @property
    def identifier(self) -> str:
        return self.key.partition("-")[0]

    @property
    def item(self) -> str:
        """The name of its WorkItem."""
        return f"{project_of(self).repository}-{self.key.lower()}"


PROJECTS = (Project("shop", "ET", "Shop", monitored=True), Project("catalog", "CAT", "Catalogue"))
TICKETS = (
    Ticket("ET-1", "Give a discount on large orders", "Whoever buys goods for 100 or more pays a tenth less."),
    Ticket("ET-2", "Показывать НДС в чеке", "В чеке под суммой должна стоять сумма налога, округлённая до копеек."),
    Ticket(
        "CAT-1",
        "Write the price list as CSV",
        "A row for each good, and how many of them it takes to get the shop's discount.",
        blocked_by="ET-1",
    ),
)
"""In the order in which they are started. ET-2 waits for ET-1 in its lane, CAT-1 because it is blocked by it."""


def project_of(ticket: Ticket) -> Project:
    return next(project for project in PROJECTS if project.identifier == ticket.identifier)
