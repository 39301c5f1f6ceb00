"""Where Gitea says that something was pushed, and where people read what the tests printed."""

import hashlib
import hmac
import json
from collections.abc import Mapping

from aiohttp import web

from examples.ci.builder import Builder

MAX_BODY_BYTES = 2**20


def application(builders: Mapping[str, Builder], secret: str) -> web.Application:
    async def pushed(request: web.Request) -> web.Response:
        """A signed delivery wakes its repository's builder; what was pushed is then read from Gitea itself."""
        body = await request.read()
        wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), request.headers.get("X-Gitea-Signature", "").encode()):
            raise web.HTTPUnauthorized(text="the signature is wrong")
        name = repository_of(body)
        if name not in builders:
            raise web.HTTPNotFound(text="not one of ours")
        builders[name].wake()
        return web.Response(status=202)

    async def log(request: web.Request) -> web.Response:
        for builder in builders.values():
            if text := builder.logs.get(request.match_info["sha"]):
                return web.Response(text=text)
        raise web.HTTPNotFound(text="nothing was run for this commit")

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    application = web.Application(client_max_size=MAX_BODY_BYTES)
    routes = [web.post("/push", pushed), web.get("/logs/{sha}", log), web.get("/healthz", healthy)]
    application.add_routes(routes)
    return application


def repository_of(body: bytes) -> str:
    """Its full name, "" where the body is something else."""
    try:
        return str(json.loads(body)["repository"]["full_name"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
