"""What stands before the fake Plane's REST API: faults, keys, the rate limit, errors in Plane's words."""

import math
from collections.abc import Mapping
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Middleware

from tests.fakes.clock import Clock
from tests.fakes.plane_faults import Faults, Handler, throttled
from tests.fakes.plane_records import Duplicate, Missing, Refused, User

WINDOW_SECONDS = 60
USER = web.RequestKey("user", User)


class RateLimit:
    """A sliding window per key, as apps/api/plane/api/rate_limit.py: refused requests do not count."""

    def __init__(self, clock: Clock, *, per_minute: int) -> None:
        self.per_minute = per_minute
        self.served: dict[str, list[datetime]] = {}
        self._clock = clock

    def take(self, key: str) -> dict[str, str] | int:
        """The headers of an allowed request, or the seconds to wait."""
        now = self._clock.now()
        times = [time for time in self.served.get(key, []) if (now - time).total_seconds() < WINDOW_SECONDS]
        self.served[key] = times
        if len(times) >= self.per_minute:
            return max(1, math.ceil(WINDOW_SECONDS - (now - times[0]).total_seconds()))
        times.append(now)
        return {
            "X-RateLimit-Remaining": str(self.per_minute - len(times)),
            "X-RateLimit-Reset": str(int(now.timestamp()) + WINDOW_SECONDS),
        }


def guard(faults: Faults, limit: RateLimit, *, keys: Mapping[str, User], requests: list[tuple[str, str]]) -> Middleware:
    """The middleware for everything under `/api/`; `requests` takes method and path of all that arrive."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        requests.append((request.method, request.path_qs))
        fault = faults.take(request.method, request.path)
        if fault:
            return await faults.strike(fault, request, answered)
        return await answered(request)

    async def answered(request: web.Request) -> web.StreamResponse:
        key = request.headers.get("X-API-Key", "")
        user = keys.get(key)
        if user is None:
            reason = "Given API token is not valid" if key else "Authentication credentials were not provided."
            return web.json_response({"detail": reason}, status=403 if key else 401)
        allowed = limit.take(key)
        if isinstance(allowed, int):
            return throttled(allowed)
        request[USER] = user
        answer = await _errors_as_answers(request)
        answer.headers.update(allowed)
        return answer

    return guarded


async def _errors_as_answers(request: web.Request) -> web.StreamResponse:
    try:
        return await request.match_info.handler(request)
    except Missing as error:
        return web.json_response({"error": str(error)}, status=404)
    except Refused as error:
        return web.json_response(error.body, status=400)
    except Duplicate as error:
        return web.json_response({"error": str(error), "id": error.existing_id}, status=409)
    except web.HTTPNotFound:
        return _page_not_found(request)


def _page_not_found(request: web.Request) -> web.Response:
    """Django redirects to the path with a closing slash, and a redirected POST loses its body."""
    if not request.path.endswith("/"):
        return web.Response(status=301, headers={"Location": f"{request.path}/"})
    return web.json_response({"error": "Page not found."}, status=404)
