"""Bugs about effects: when one is sent, by whom, and what the other side is asked to refuse."""

from __future__ import annotations

from tests.mutations.seed import Bug, engine, pipeline

ITEMS, EFFECTS = "operator/conveyor/engine/items.py", "operator/conveyor/engine/effects.py"
JOBS, MANIFESTS = "operator/conveyor/pipeline/effect_jobs.py", "operator/conveyor/engine/manifests.py"
INTENTS, GITEA = "operator/conveyor/pipeline/intents.py", "operator/conveyor/forge/gitea.py"

SENDING = (
    Bug(
        "an effect is sent before its intent is on record",
        "intent first, then the effect",
        ITEMS,
        "            case Settle():\n                return await self._settle(case.item, action, notes=notes)\n",
        "            case Settle(status=status):\n"
        "                begun = status.transition\n"
        "                if begun is not None and case.status.transition is None and begun.effect in effects.EFFECTS:\n"
        '                    intended = case.item.model_copy(update={"status": status})\n'
        "                    await effects._attempt(self._world, intended, case.repository, begun)\n"
        "                return await self._settle(case.item, action, notes=notes)\n",
        engine("effects"),
    ),
    Bug(
        "an intent of another is not adopted",
        "one sender per token",
        "operator/conveyor/pipeline/effects.py",
        "if transition.holder != case.policy.holder[:256] or",
        "if",
        pipeline("effects"),
    ),
    Bug(
        "adoption does not raise the token",
        "one sender per token",
        INTENTS,
        "    token = (case.status.fencing_token or 0) + 1\n    mine",
        "    token = case.status.fencing_token or 0\n    mine",
        pipeline("effects"),
    ),
    Bug(
        "the id is computed anew after the merge",
        "an intent's id is read, never computed again",
        INTENTS,
        'update={"holder": case.policy.holder[:256], "fencing_token": token})\n',
        'update={"holder": case.policy.holder[:256], "fencing_token": token})\n'
        "    if case.status.merge_sha:\n"
        '        new = hashlib.sha256(f"{transition.id}/{case.status.merge_sha}/{token}".encode()).hexdigest()[:32]\n'
        "        name = effect_job_name(case.item.name, transition.effect, transition_id=new)\n"
        "        job = TransitionJob(name=name) if transition.job is not None else None\n"
        '        mine = mine.model_copy(update={"id": new, "job": job})\n',
        pipeline("effects"),
    ),
    Bug(
        "no last look at the intent",
        "one sender per token",
        EFFECTS,
        "        transition.id,\n        transition.holder,\n        transition.fencing_token,\n    )",
        "        transition.id,\n        transition.holder,\n        transition.fencing_token,\n    ) or True",
        engine("effects"),
    ),
    Bug(
        "the last look is served from the cache",
        "one sender per token",
        EFFECTS,
        "    fresh = await world.cluster.get(Kind.WORKITEM, owner.key)\n",
        "    cached = world.cache.items.get(owner.key)\n"
        '    fresh = __import__("json").loads(cached.body) if cached is not None else None\n',
        engine("effects"),
    ),
    Bug(
        "the last look forgets the token",
        "one sender per token",
        EFFECTS,
        'recorded.get("fencingToken"))',
        "transition.fencing_token)",
        engine("effects"),
    ),
    Bug(
        "a request to the forge whose answer is lost is sent again",
        "an effect is sent once, and then read",
        "operator/conveyor/web/client.py",
        "        return await self._once(request, ok, wrote=True, max_bytes=max_bytes)\n",
        "        try:\n"
        "            return await self._once(request, ok, wrote=True, max_bytes=max_bytes)\n"
        "        except Ambiguous:\n"
        "            return await self._once(request, ok, wrote=True, max_bytes=max_bytes)\n",
        "tests/unit/web/test_client.py",
    ),
    Bug(
        "a merge is not fast-forward only",
        "the forge refuses a moved base",
        GITEA,
        '{"Do": "fast-forward-only", "head_commit_id": head}',
        '{"Do": "rebase", "head_commit_id": head}',
        "tests/unit/forge/test_gitea.py",
    ),
    Bug(
        "a merge does not name its commit",
        "the forge refuses a moved head",
        GITEA,
        '{"Do": "fast-forward-only", "head_commit_id": head}',
        '{"Do": "fast-forward-only"}',
        "tests/unit/forge/test_gitea.py",
    ),
    Bug(
        "a Job's name is another for each sender",
        "the API server refuses a second Job of an intent",
        MANIFESTS,
        "_metadata(transition.job.name, item, labels) | {",
        '_metadata(f"{transition.job.name}-{transition.fencing_token}", item, labels) | {',
        engine("manifests"),
    ),
    Bug(
        "a Job that went is created again",
        "an intent has its effect once",
        JOBS,
        "        if recorded.uid is not None:\n            return _lost(case, transition)\n",
        "",
        pipeline("effect_jobs"),
    ),
    Bug(
        "a Job with another uid is taken for ours",
        "an intent has its effect once",
        JOBS,
        "if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):",
        "if job.item_uid != case.item.metadata.uid:",
        pipeline("effect_jobs"),
    ),
    Bug(
        "a Job of an effect begins as soon as it is created",
        "an intent has its effect once",
        MANIFESTS,
        ' | {"suspend": True}}',
        "}",
        engine("late_jobs"),
    ),
    Bug(
        "an intent whose Job may still begin is given up",
        "one Job of an item begins",
        "operator/conveyor/pipeline/resuming.py",
        "case StalledReason.EFFECT_UNKNOWN if transition is None or effect_is_over(case, transition):",
        "case StalledReason.EFFECT_UNKNOWN:",
        pipeline("retried_jobs"),
    ),
    Bug(
        "a Job of an effect has no finalizer",
        "a Job's name is held until its result is stored",
        MANIFESTS,
        ' | {"finalizers": [names.RESULT_FINALIZER]}',
        "",
        engine("manifests"),
    ),
    Bug(
        "a Job is let go by an old cache",
        "a Job's name is held until its result is stored",
        "operator/conveyor/engine/runs.py",
        "if (job.has_finalizer or job.deleted or job.unstarted) and await _is_waited_for(world, job):",
        "if job.deleted and await _is_waited_for(world, job):",
        engine("old_cache"),
    ),
)
