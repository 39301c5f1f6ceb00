"""What each reason means, what comes next by itself, and what a person can run: one entry per reason.

docs/why-does-my-item-wait.md has a heading for each. Fields in braces are filled in by `why`, quoted for a shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conveyor.api.workitem import StalledReason, WaitingReason

PAGE = "docs/why-does-my-item-wait.md"


@dataclass(frozen=True, slots=True)
class Explanation:
    meaning: str
    next_step: str
    """What happens by itself, and when."""
    command: str
    """What a person can run; where nothing has to be done, what shows more."""
    person: bool = False
    """Whether it waits for a person rather than goes on by itself."""


_LOGS = "kubectl logs --follow --all-containers job/{job}{scope}"
SHOW = "kubectl workitem show {name}{scope}"
_REFRESH = "kubectl workitem refresh {name}{scope}"
_EDIT = "kubectl edit workitem.conveyor.dev {name}{scope}"
_RETRY = "kubectl workitem retry {name}{scope}"
_RESUME = "kubectl workitem resume {name}{scope}"
_UNFREEZE = "kubectl workitem unfreeze {repository}{scope}"
_QUEUE = "kubectl workitem queue --repository {repository}{scope}"
_REPOSITORY = "kubectl describe repository.conveyor.dev {repository}{scope}"

WAITING: Mapping[WaitingReason, Explanation] = {
    WaitingReason.ADMISSION: Explanation(
        meaning="it was chosen to start, and its branch is being cut",
        next_step="the analyst starts as soon as the forge has the branch",
        command=SHOW,
    ),
    WaitingReason.EARLIER_ITEM: Explanation(
        meaning="another item of the repository goes first",
        next_step="it starts when nobody is ahead: one item at a time, by priority, then age",
        command=_QUEUE,
    ),
    WaitingReason.DEPENDENCY: Explanation(
        meaning="an item that it depends on is not done",
        next_step="it joins the queue when all that it depends on are done",
        command="kubectl workitem why {dependency}{scope}",
    ),
    WaitingReason.DEPENDENCY_MISSING: Explanation(
        meaning="an item that it depends on does not exist",
        next_step="it joins the queue when that item has been created and is done",
        command=_EDIT,
        person=True,
    ),
    WaitingReason.REPOSITORY_FROZEN: Explanation(
        meaning="the repository is frozen",
        next_step="it goes on when the freeze has ended",
        command=_UNFREEZE,
        person=True,
    ),
    WaitingReason.MONITOR: Explanation(
        meaning="the repository's last deploy is still being watched",
        next_step="it starts when the watch has ended well; a degraded deploy may freeze the repository first",
        command=_QUEUE,
    ),
    WaitingReason.RUN_SLOT: Explanation(
        meaning="as many runs are at work as may be at once",
        next_step="its run starts when another one has ended",
        command="kubectl workitem list -o wide --repository {repository}{scope}",
    ),
    WaitingReason.RUN: Explanation(
        meaning="a run is at work, or about to start",
        next_step="its answer is read when the Job has ended",
        command=_LOGS,
    ),
    WaitingReason.APPROVAL: Explanation(
        meaning="a person has to approve",
        next_step="nothing happens before the verdict, on the ticket or by the command",
        command="kubectl workitem approve {name}{scope}",
        person=True,
    ),
    WaitingReason.CI: Explanation(
        meaning="CI has not said that the commit is green",
        next_step="statuses are read when the forge reports one; without any in time it becomes Stalled, CISilent",
        command=_REFRESH,
    ),
    WaitingReason.REVIEW: Explanation(
        meaning="the commit lacks approvals on the forge",
        next_step="it goes on when the forge has enough approvals of this very commit",
        command=_REFRESH,
        person=True,
    ),
    WaitingReason.MERGE: Explanation(
        meaning="the merge is under way, or the rebase before it",
        next_step="the forge is read until it is proven",
        command=SHOW,
    ),
    WaitingReason.DEPLOY: Explanation(
        meaning="an image, staging, deploy or rollback Job is at work",
        next_step="its verdict is read when the Job has ended",
        command=_LOGS,
    ),
    WaitingReason.LEASE: Explanation(
        meaning="another process owns its side effects now",
        next_step="it goes on when that process lets go, or has not renewed its Lease in time",
        command="kubectl get lease {lease} -o yaml{scope}",
    ),
    WaitingReason.SUSPENDED: Explanation(
        meaning="it is held: spec.suspend is set",
        next_step="no new step begins; what runs may finish",
        command=_RESUME,
        person=True,
    ),
    WaitingReason.FORGE: Explanation(
        meaning="the forge cannot be asked, or the Repository is not ready",
        next_step="it is asked again, every half minute or when the Repository changes",
        command=_REFRESH,
    ),
    WaitingReason.TRACKER: Explanation(
        meaning="the ticket cannot be read",
        next_step="the tracker is asked again within half a minute, later where it limits us",
        command=_REFRESH,
    ),
    WaitingReason.PERSON: Explanation(
        meaning="an agent asks a question",
        next_step="nothing happens before the answer; the same role then works again and reads it",
        command=_RESUME,
        person=True,
    ),
}

STALLED: Mapping[str, Explanation] = {
    StalledReason.RETRIES_EXHAUSTED: Explanation(
        meaning="the same work failed as often as the budget allows",
        next_step="it goes on if the failed gate passes after all",
        command=_RETRY,
        person=True,
    ),
    StalledReason.CI_SILENT: Explanation(
        meaning="CI has not said what is waited for about the commit within the time limit",
        next_step="it goes on when a status arrives",
        command=_RETRY,
        person=True,
    ),
    StalledReason.PULL_REQUEST_CLOSED: Explanation(
        meaning="somebody closed the pull request, or merged it to another base than the item's",
        next_step="it goes on when the pull request is reopened",
        command=_RESUME,
        person=True,
    ),
    StalledReason.BRANCH_GONE: Explanation(
        meaning="somebody deleted the branch",
        next_step="it goes on when the branch is back at the commit on record",
        command='kubectl workitem rework {name} "the branch is gone"{scope}',
        person=True,
    ),
    StalledReason.BASE_RENAMED: Explanation(
        meaning="the pull request goes to another base than the one the work was made for",
        next_step="it goes on when the pull request is retargeted back",
        command=_RESUME,
        person=True,
    ),
    StalledReason.BASE_MOVED: Explanation(
        meaning="the base branch has commits that the branch lacks, and is not rebased on any more",
        next_step="it goes on when somebody pushes the branch with the newest base in it",
        command=_RETRY,
        person=True,
    ),
    StalledReason.MERGED_BY_AGENT: Explanation(
        meaning="an agent's login merged the pull request, which no agent may",
        next_step="nothing: whether the merge stays is a person's decision; the command says that it does",
        command='kubectl workitem override {name} done "<why it may stay>"{scope}',
        person=True,
    ),
    StalledReason.MERGED_LATE: Explanation(
        meaning="the commit is on the base branch, and not by a merge that the item has asked for as it stands",
        next_step="nothing: a person decides; the command deploys it, done instead of deploy leaves it as it is",
        command='kubectl workitem override {name} deploy "<why it may go on>"{scope}',
        person=True,
    ),
    StalledReason.EFFECT_UNKNOWN: Explanation(
        meaning="nobody can tell whether a side effect happened",
        next_step="it goes on when a read proves what happened",
        command=_RESUME,
        person=True,
    ),
    StalledReason.PRIOR_WORK_FOUND: Explanation(
        meaning="its branch is there already, and nothing on record says that it is ours",
        next_step="it goes on when that branch is gone",
        command=_RETRY,
        person=True,
    ),
    StalledReason.DEPENDENCY_CYCLE: Explanation(
        meaning="it depends on itself, by way of others",
        next_step="it goes on when one of them no longer depends on the next",
        command=_EDIT,
        person=True,
    ),
    StalledReason.DEPENDENCY_CANCELLED: Explanation(
        meaning="an item that it depends on was cancelled",
        next_step="it goes on when it no longer depends on that item",
        command=_EDIT,
        person=True,
    ),
    StalledReason.TICKET_CLOSED: Explanation(
        meaning="a person closed the ticket before the item was done",
        next_step="it goes on when the ticket is reopened; the command ends it instead",
        command="kubectl workitem cancel {name}{scope}",
        person=True,
    ),
    StalledReason.REPOSITORY_MISSING: Explanation(
        meaning="its Repository is gone, or cannot be read",
        next_step="it goes on when the Repository is back",
        command="kubectl get repositories.conveyor.dev{scope}",
        person=True,
    ),
    StalledReason.DEPLOY_FAILED: Explanation(
        meaning="the change is merged, its deploy failed, and it was rolled back",
        next_step="nothing: a person decides; the command deploys again, rework begins anew",
        command=_RETRY,
        person=True,
    ),
    StalledReason.ROLLBACK_FAILED: Explanation(
        meaning="the deploy failed, and going back failed or was not possible",
        next_step="nothing: look at production first; the command goes back again, else deploys",
        command=_RETRY,
        person=True,
    ),
}

BEHIND = Explanation(
    meaning="another item of the repository is being merged or deployed now",
    next_step="it goes on when that one has ended, or stands still",
    command="kubectl workitem why {holder}{scope}",
)
"""Of Lease, where the holder is an item that we know."""
BEHIND_PARKED = Explanation(
    meaning="another item's merge or deploy is parked: nobody can tell whether it happened, and it keeps its Lease",
    next_step="it goes on when a person has looked after that item",
    command="kubectl workitem why {holder}{scope}",
    person=True,
)
NOT_SEEN = Explanation(
    meaning="the operator has not looked at it yet",
    next_step="the operator enters it as created within seconds, if it is running and watches this namespace",
    command="kubectl get leases --all-namespaces --field-selector metadata.name=conveyor-operator",
)
MOVING = Explanation(meaning="nothing holds it", next_step="the operator decides its next step", command=SHOW)
DELETING = Explanation(
    meaning="it is being deleted", next_step="it goes when its side effects have ended", command=SHOW
)
ENDED = Explanation(meaning="it has ended", next_step="nothing", command=SHOW)
MERGED_AFTER_THE_END = Explanation(
    meaning="it was cancelled, and a merge that it had asked for before landed after that",
    next_step="nothing: revert the merge on the forge, or deploy it with another item",
    command=SHOW,
    person=True,
)
"""Of an item that has ended, and yet is Stalled."""

UNKNOWN = Explanation(
    meaning="it needs a person, for a reason that this version of the command does not know",
    next_step="unknown: the operator is newer than this command",
    command=SHOW,
    person=True,
)

NOT_READY = Explanation(
    meaning="the Repository is not Ready",
    next_step="it goes on when what its condition Ready says has been mended",
    command=_REPOSITORY,
    person=True,
)
"""Of Forge, where that is the cause."""
FREEZE_ENDS = Explanation(
    meaning="the repository is frozen for a time",
    next_step="it goes on when the freeze has ended",
    command=_REPOSITORY,
)
"""Of RepositoryFrozen, where the freeze says until when."""
FREEZE_OF_DEPLOY = Explanation(
    meaning="the repository was frozen because a deploy went wrong",
    next_step="it goes on when a person has cleared the freeze",
    command=_UNFREEZE,
    person=True,
)
"""Of RepositoryFrozen, where it was not a person who froze."""
PARKED = Explanation(
    meaning="its role asked to be started again later", next_step="it starts again at that time", command=SHOW
)
"""Of Run, where no Job is at work."""
