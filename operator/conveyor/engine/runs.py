"""Starting, stopping and tidying the Jobs of an item."""

from __future__ import annotations

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Agent
from conveyor.api.stages import Role
from conveyor.api.workitem import ActiveRun, Transition
from conveyor.cluster.jobs import job_fact
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won
from conveyor.engine.manifests import RunPlan, run_job
from conveyor.engine.outcomes import Again, Outcome
from conveyor.engine.records import JobRecord
from conveyor.engine.tasks import build_task
from conveyor.engine.world import World
from conveyor.pipeline.actions import StopEffect, StopRun
from conveyor.pipeline.case import SOON
from conveyor.pipeline.facts import ForgeReview, JobFact, JobState, Ticket, TicketComment
from conveyor.web.errors import HostNotAllowed, NotFound, OutsideError, RateLimited
from conveyor.web.hosts import origin, parse_url

JOB_SECONDS = 3600
"""How long a finished Job stays for people to look at, once its answer is stored."""


async def start(world: World, item: WorkItem, repository: Repository, run: ActiveRun) -> JobFact | Outcome | str:
    """Create the Job of the recorded run. One that is there already is the same run's: its name says so.

    Gives the Job, or when to look for it, or what keeps it from being created, for people to read.
    """
    try:
        job = run_job(await _plan(world, item, repository, run))
    except RateLimited:
        raise
    except OutsideError as error:
        return str(error)[:300]
    match await world.cluster.create_job(job):
        case Won(created):
            return job_fact(created, [])
        case Lost():
            return Again(0.0)
        case Uncertain():
            return Again(0.5)
        case Rejected(message):
            return f"the API server refuses the Job: {message[:300]}"


async def _plan(world: World, item: WorkItem, repository: Repository, run: ActiveRun) -> RunPlan:
    ticket, comments = await _ticket(world, item, repository)
    agent = agent_for(world, repository, run.role)
    if agent is None:
        raise NotFound(f"neither Repository {repository.name} nor the operator's default has an agent {run.role}")
    task = build_task(
        item, repository, run, ticket=ticket, comments=comments, reviews=await _reviews(world, item, repository, run)
    )
    return RunPlan(
        item=item,
        repository=repository,
        run=run,
        agent=agent,
        task=task,
        token_key=await _token_key(world, repository, run.role),
        tools_image=world.settings.tools_image,
    )


def agent_for(world: World, repository: Repository, role: Role) -> Agent | None:
    own = next((agent for agent in repository.spec.agents if agent.role == role), None)
    return own if own is not None else world.settings.default_agents.get(role)


async def _ticket(
    world: World, item: WorkItem, repository: Repository
) -> tuple[Ticket | None, tuple[TicketComment, ...]]:
    """Text and comments as they are when the run starts."""
    source, tracker = item.spec.source, await world.connections.tracker(repository)
    if source is None or tracker is None:
        return None, ()
    return await tracker.ticket(source.issue_id), await tracker.comments(source.issue_id)


async def _reviews(world: World, item: WorkItem, repository: Repository, run: ActiveRun) -> tuple[ForgeReview, ...]:
    """What reviewers asked for, for a developer who works again."""
    if run.role != Role.DEVELOPER or not run.reason or item.status.pull_request is None:
        return ()
    forge = await world.connections.forge(repository)
    return await forge.reviews(item.status.pull_request.number)


async def _token_key(world: World, repository: Repository, role: Role) -> str:
    reference = repository.spec.agent_credentials_secret_ref or repository.spec.forge.credentials_secret_ref
    secret = await world.connections.secret(Key(repository.metadata.namespace, reference.name))
    _check_host(reference.name, secret.get("url", "").strip(), repository)
    for key in (role.value, "token"):
        if key in secret:
            return key
    raise NotFound(f"Secret {reference.name} has neither a key {role.value} nor a key token")


def _check_host(name: str, url: str, repository: Repository) -> None:
    """A token goes to the host that its Secret names, also out of a run's pod."""
    forge = parse_url(repository.spec.forge.url)
    if url and origin(parse_url(url)) != origin(forge):
        raise HostNotAllowed(f"the url of Secret {name} is not on {forge.host}: its token does not go there")


async def end(world: World, item: WorkItem, what: StopRun | StopEffect) -> Outcome:
    match what:
        case StopRun(run=run):
            return await stop(world, item, run)
        case StopEffect(transition=transition):
            return await stop_effect(world, item, transition)


async def stop(world: World, item: WorkItem, run: ActiveRun) -> Outcome:
    """Delete the recorded run's Job; whether it is gone, pods included, the next pass reads."""
    key = Key(item.metadata.namespace, run.name)
    job = await world.cluster.job(key, with_message=False)
    if job.state in (JobState.ACTIVE, JobState.ENDED) and job.item_uid == item.metadata.uid:
        await world.cluster.delete_job(key, uid=job.uid)
    return Again(SOON if job.state == JobState.DELETING else 0.5)


async def stop_effect(world: World, item: WorkItem, transition: Transition) -> Outcome:
    """Delete the Job of an intent that is given up, and take our finalizer off: a Job that it holds runs on."""
    if transition.job is None:
        return Again(0.0)
    key = Key(item.metadata.namespace, transition.job.name)
    job = await world.cluster.job(key, with_message=False)
    if job.uid and job.item_uid == item.metadata.uid:
        await world.cluster.delete_job(key, uid=job.uid)
        await world.cluster.release_job(key)
    return Again(0.5)


def untidy(item: WorkItem, jobs: list[JobRecord]) -> list[JobRecord]:
    """Jobs of this item at their end, deleted, or never begun, that nobody waits for and that still hold on."""
    run, transition = item.status.active_run, item.status.transition
    in_use = {run.name if run is not None else ""}
    if transition is not None and transition.job is not None:
        in_use.add(transition.job.name)
    return [job for job in jobs if job.left_over and job.item_uid == item.metadata.uid and job.key.name not in in_use]


async def tidy(world: World, jobs: list[JobRecord]) -> None:
    """Let go of finished Jobs: the cluster removes them after a while. One that never began is deleted, if that is so.

    Before a finalizer goes the item itself is asked: by an old cache an effect's Job would be let go before its result
    is stored, and its name be free for another.
    """
    for job in jobs:
        if (job.has_finalizer or job.deleted or job.unstarted) and await _is_waited_for(world, job):
            continue
        if job.unstarted and not job.deleted:
            await world.cluster.delete_job(job.key, uid=job.uid, resource_version=str(job.version))
            continue
        stays = job.has_ttl or job.deleted
        if job.has_finalizer:
            await world.cluster.release_job(job.key, expire_seconds=None if stays else JOB_SECONDS)
        elif not stays:
            await world.cluster.expire_job(job.key, seconds=JOB_SECONDS)


async def _is_waited_for(world: World, job: JobRecord) -> bool:
    """As the API server has it: a Job's name is free without our finalizer, whatever an older view of its item says."""
    item = await world.cluster.get(Kind.WORKITEM, job.item) or {}
    waited_for = ((item.get("status") or {}).get("transition") or {}).get("job") or {}
    return bool(item.get("metadata", {}).get("uid") == job.item_uid and waited_for.get("name") == job.key.name)
