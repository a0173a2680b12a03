"""The service as a server on the network."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from longshore.configuration import Configuration, ConfiguredCloud, ServiceSettings, forget_secrets
from longshore.engine import embedded
from longshore.errors import InvalidInput, Unreachable
from longshore.logs import write_json
from longshore.nodes.standing import NodePlace
from longshore.processes.apart import Apart
from longshore.processes.memory import live_long
from longshore.providers.grounds import CloudGround, Grounds
from longshore.service.app import create_app
from longshore.service.caller import Access
from longshore.service.connections import bounded
from longshore.service.nodes import NodeReporter, place_of
from longshore.service.policy import OsloPolicy
from longshore.service.sessions import ServiceSessions
from longshore.store import StateDirectory, Store

_LOOK = 5.0  # seconds between looks whether there is work and nobody doing it

_log = structlog.get_logger("longshore.server")


def serve(
    configuration: Configuration, with_pages: Callable[[ASGIApp, ServiceSessions, ServiceSettings, Apart], ASGIApp]
) -> None:
    """Serve until SIGTERM or SIGINT: requests under way are then answered. Migrations go on without it.

    `with_pages`: puts pages for browsers beside the API. Raises InvalidInput when the configuration says nothing of a
    server, or what can't be.
    """
    from longshore.service.keystone import KeystoneTokens

    settings = configuration.server
    if settings is None:
        raise InvalidInput(
            "The configuration has no server in it.",
            advice="It needs at least auth_url and a password in [server.keystone]: see docs/howto/server.md.",
        )
    access = Access(
        KeystoneTokens(settings.keystone.options()),
        OsloPolicy(str(settings.policy_file) if settings.policy_file else None),
        grounds_of(settings),
        settings.quotas,
    )
    write_json(sys.stdout)
    store = Store(StateDirectory.configured(configuration))
    forget_secrets()
    store.database.warn_of_losses()
    try:
        apart = Apart()
        app = create_app(store, access=access, body_limit=settings.body_limit, metrics=settings.metrics, apart=apart)
        app.router.lifespan_context = _keeping_an_engine(store, place_of(settings))
        served = with_pages(app, ServiceSessions(store, settings), settings, apart) if settings.web.enabled else app
        with closing(apart):
            apart.begin()
            live_long()
            _run(settings, served)
    finally:
        store.close()


def grounds_of(settings: ServiceSettings) -> Grounds:
    """Return what callers may use of this machine."""
    served = settings.clouds or [ConfiguredCloud(auth_url=settings.keystone.auth_url, cacert=settings.keystone.cacert)]
    return Grounds(
        {c.auth_url: CloudGround(_text(c.ceph_conf), c.ceph_user, _text(c.cacert), c.labels) for c in served},
        _text(settings.vddk_libdir),
        tuple(str(directory) for directory in settings.files_directories),
        tuple(endpoint.rstrip("/") for endpoint in settings.vault_endpoints),
        _text(settings.relay_image),
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _run(settings: ServiceSettings, app: ASGIApp) -> None:
    server = uvicorn.Server(_listening_as(settings, app))
    where = f"{settings.listen}:{settings.port}"
    try:
        listening = server.config.bind_socket()
    except SystemExit:
        raise InvalidInput(f"The server can't listen on {where}.", advice="Choose another listen or port.") from None
    _log.info("listening", address=where, url=settings.url)
    print(f"Longshore listens on {where}.", file=sys.stderr)
    print(f"Reach it with: LONGSHORE_URL={settings.url} longshore …, and OS_CLOUD or OS_* variables.", file=sys.stderr)
    print("Or by the catalogue (longshore server register): openstack migration …", file=sys.stderr, flush=True)
    if settings.web.enabled:
        print(f"Its pages are at {settings.url.rstrip('/')}/ui/.", file=sys.stderr, flush=True)
    server.run(sockets=[listening])


def _listening_as(settings: ServiceSettings, app: ASGIApp) -> uvicorn.Config:
    return bounded(
        app,
        host=settings.listen,
        port=settings.port,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        access_log=False,  # the gate writes who asked for what
        log_config=None,
        timeout_graceful_shutdown=10,
    )


def _keeping_an_engine(store: Store, place: NodePlace | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an application that keeps an engine at work, and says how its machine stands among others.

    While it serves, migrations that an engine has left, as after a reboot, are taken up again.
    """

    async def keep() -> None:
        while True:
            with suppress(OSError, Unreachable):
                if await asyncio.to_thread(embedded.has_work, store):
                    await asyncio.to_thread(embedded.ensure_running, store.state)
            await asyncio.sleep(_LOOK)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(keep())]
        if place is not None:
            tasks.append(asyncio.create_task(NodeReporter(store, place).go_on()))
        yield
        for task in tasks:
            task.cancel()

    return lifespan
