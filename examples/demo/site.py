"""What is deployed, as the monitor asks for it: `/<target>` answers 200 with the commit that runs in production."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from aiohttp import web


@contextlib.asynccontextmanager
async def serve(production: Path) -> AsyncGenerator[str]:
    """Gives its address, on loopback and a free port."""

    async def answer(request: web.Request) -> web.Response:
        deployed = production / request.match_info["target"]
        if not deployed.is_file():
            raise web.HTTPServiceUnavailable(text="nothing is deployed\n")
        return web.Response(text=deployed.read_text() + "\n")

    app = web.Application()
    app.router.add_get("/{target:[a-z]+}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
