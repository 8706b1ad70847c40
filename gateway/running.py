"""The gateway as a process: opened in one place, served until it is told to stop, drained, closed.

open     config, secrets, database (and its lock), log, charter: whatever is wrong stops the start
serve    START act; hub, sequencer, escalations and listeners, each in a task that must not end
SIGHUP   the charter's successor in DIR/charter.note, the log level, the TLS certificate, the contacts file
witness  what is shown outside, on a slower beat, goes to the charter's witnesses; nothing waits for them
SIGTERM  no more connections, DRAINING to everybody, what is being decided is finished, STOP act, last checkpoint
"""

import asyncio
import logging
import shutil
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from gateway.audit.asking import check_witnessed
from gateway.audit.floor import FloorFile
from gateway.audit.sequencer import LogRefused, Sequencer, disk_full
from gateway.audit.tiles import LogFolder, LogFolderError
from gateway.config import Config, ConfigRefused, Tls
from gateway.core import acts
from gateway.core.append import Gateway
from gateway.core.errors import Refused
from gateway.ending import earlier_charters
from gateway.escalating import Escalating
from gateway.home import Keys, check_private, open_keys, tls_keys
from gateway.reads import Reads
from gateway.retaining import Retaining
from gateway.roads.base import RoadRefused
from gateway.roads.post import Post
from gateway.scrubbing import Scrubbing
from gateway.store.base import DiskFull
from gateway.store.sqlite import SqliteStore
from gateway.web.app import App
from gateway.web.door import Door
from gateway.web.hub import Hub
from gateway.web.line import GOING_AWAY
from gateway.web.listener import listen
from gateway.web.log import LogReadPath, Tokens
from gateway.web.pages import Pages
from gateway.web.server import Server
from gateway.web.service import Service
from gateway.web.tls import server_context
from gateway.witnessing import Witnessing, hear_witnesses
from keys.body import Act
from keys.charter import Charter
from keys.identity import Random

_log = logging.getLogger(__name__)
METRICS_CONNECTIONS: Final = 64
VERSION: Final = version("outrider")


def clock() -> int:
    """Now, in ms since the epoch, UTC."""
    return time.time_ns() // 1_000_000


class Stopped(Exception):
    """The gateway ends itself: what has failed can't be believed any more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Everything that a gateway needs, checked and held; nothing is listening yet."""

    config: Config
    keys: Keys
    store: SqliteStore
    folder: LogFolder
    sequencer: Sequencer
    tokens: Tokens
    post: Post


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Opened]:
    """Open a gateway's folder, and let go of it in the end.

    Raises:
        ConfigRefused, RoadRefused, WrongStore, LogRefused, OSError: with a sentence for the operator.
    """
    keys = open_keys(config)
    key_seen = tls_keys(config)
    tokens = Tokens(config.tokens)
    post = _post(config)
    store = SqliteStore(config.database)
    try:
        tokens.check()
        folder = _log_folder(config)
        sequencer = Sequencer.open(store, folder, FloorFile(config.floor), keys.log, clock)
        check_witnessed(folder, keys.log, sequencer.hashes())
        with store.snapshot() as view:
            charter = view.charter()
        if charter is not None:
            check_named(charter, keys, key_seen)
        yield Opened(config, keys, store, folder, sequencer, tokens, post)
    finally:
        await post.close()
        await store.close()


def _post(config: Config) -> Post:
    """The roads off the platform; what is secret in them is nobody else's to read."""
    for settings in config.roads:
        for secret in settings.secrets:
            check_private(secret)
    if config.contacts.exists():
        check_private(config.contacts)
    return Post(config.roads, config.contacts, config.notice_text)


def _log_folder(config: Config) -> LogFolder:
    try:
        return LogFolder(config.log)
    except LogFolderError as error:
        raise ConfigRefused(f"{error}: check `log` in gateway.toml, or make a gateway with init") from None


def check_named(charter: Charter, keys: Keys, key_seen: bytes | None) -> None:
    """Raises ConfigRefused unless the charter names this gateway's keys."""
    policy = charter.policy
    log_key, second = keys.log.ed25519.verifier_key.encode(), keys.log.ml_dsa.verifier_key.encode()
    named = (policy.gateway_key, policy.log_key, policy.log_origin)
    if named != (keys.gateway.public, log_key, keys.log.origin) or policy.log_key_pq not in ("", second):
        raise ConfigRefused("the charter names another gateway or log: give the mission this one's gateway.request")
    if key_seen is not None and key_seen not in policy.tls_keys:
        raise ConfigRefused(
            "the charter does not name this TLS key: no client would trust it; sign a charter that does"
        )


async def install(held: Opened, note: bytes, random: Random) -> str:
    """Install a charter, the mission's first or the successor of the one in force; gives a line for the operator.

    Raises:
        ConfigRefused: it names other keys.
        Refused: it may not be installed.
    """
    keys, key_seen, earlier = held.keys, tls_keys(held.config), earlier_charters(held.config)
    with held.store.snapshot() as view:
        charter = acts.next_charter(view, note, earlier)
    check_named(charter, keys, key_seen)
    log_key = keys.log.ed25519.verifier_key.encode()
    done = await held.store.decide(
        lambda view: acts.install_charter(view, note, keys.gateway, log_key, clock(), random, earlier)
    )
    state = "is in force already" if done is None else "is in force"
    return f"version {charter.policy.version} of the charter of {charter.policy.mission} {state}"


class Running:
    """A gateway that serves."""

    def __init__(
        self, held: Opened, random: Random, said: Callable[[str, str], None], reread: Callable[[], Config]
    ) -> None:
        self._held = held
        self._random = random
        self._said = said  # told (listening, metrics) once both are there
        self._reread = reread  # gateway.toml, again
        self._reloading: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._broken: BaseException | None = None
        config = held.config
        self._context = None if config.tls is Tls.PROXY else server_context(config.tls_certificate, config.tls_key)
        self.service = Service(
            held.store,
            held.sequencer,
            held.keys.gateway,
            clock,
            random,
            self._break,
            lambda: shutil.disk_usage(config.database.parent).free,
        )
        pages = Pages(held.store)
        self.hub = Hub(self.service, pages)
        self._escalating = Escalating(self.service, held.store, self.hub, held.post, random)
        self._witnessing = Witnessing(
            self.service, config, held.keys.log, held.folder, held.tokens, self._gateway, self._act, random
        )
        held.sequencer.hold = lambda: held.store.full
        self._retaining = Retaining(held.store, self._gateway, clock, random, pages.forget)
        self._scrubbing = Scrubbing(config.database, held.folder, lambda: held.sequencer.head.edge)
        self.service.remarks = lambda: [*self._witnessing.remarks(), *self._scrubbing.remarks()]
        self.app = App(self.service, self.hub, self._read_path())
        self._server = Server(self.app.answer, config.max_connections)

    def _read_path(self) -> LogReadPath:
        held, service = self._held, self.service

        def body(digest: bytes) -> bytes | None:
            with held.store.snapshot() as view:
                stored = view.published(digest)
                if stored is None:
                    return None
                return stored.body if stored.body is not None else view.blob(digest, 0, stored.body_length)

        step = held.config.outside_step
        reads = Reads(held.store, self._gateway, clock, self._random)
        return LogReadPath(
            held.folder, held.tokens, lambda: service.charter, lambda: held.sequencer.head.size, body, step, reads.note
        )

    def _gateway(self) -> Gateway | None:
        charter = self.service.charter
        return None if charter is None else Gateway(charter, self._held.keys.gateway)

    def _break(self, error: BaseException) -> None:
        self._broken = self._broken or error
        self._stop.set()

    def stop(self) -> None:
        """Drain and end."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop`, or until something fails that can't be believed any more: Stopped is raised then."""
        held = self._held
        self.service.take_charter()
        await hear_witnesses(held.config, held.store, held.folder, held.keys.log, held.sequencer.head)
        self._watch_metrics()
        held.store.watch(lambda _batch: held.sequencer.wake())
        held.store.watch(self.hub.committed)
        held.store.watch(self._escalating.committed)
        held.sequencer.listeners.append(self.hub.signed)
        await self._act(Act.START, f"outrider {VERSION}")
        await self._escalating.publish()
        metrics_server = Server(self.app.answer_metrics, METRICS_CONNECTIONS)
        metrics = await listen(metrics_server, held.config.metrics.host, held.config.metrics.port, None)
        listener = await listen(self._server, held.config.listen.host, held.config.listen.port, self._context, Door())
        self.service.metrics.watch(
            "outrider_turned_away", "Connections turned away at the door since the start", lambda: listener.turned_away
        )
        beat = asyncio.create_task(self._kept(held.sequencer.run()))
        tasks = [
            asyncio.create_task(self._kept(c))
            for c in (
                self.hub.run(),
                self.hub.sweep(),
                *self._escalating.work(),
                *self._witnessing.work(),
                self._retaining.run(),
                self._scrubbing.run(),
            )
        ]
        try:
            scheme = "http" if self._context is None else "https"
            host, metrics_host = held.config.listen.host, held.config.metrics.host
            self._said(f"{scheme}://{host}:{listener.port}", f"http://{metrics_host}:{metrics.port}")
            await self._stop.wait()
            listener.close()
            if self._broken is None:
                await self._drain(beat)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._witnessing.close()
            metrics.close()
            for server in (self._server, metrics_server):
                await server.shutdown(1.0)
            held.sequencer.finish()
            await asyncio.gather(beat, return_exceptions=True)
        if isinstance(self._broken, LogRefused):
            raise self._broken
        if self._broken is not None:
            raise Stopped(f"{type(self._broken).__name__}: {self._broken}") from self._broken

    async def _kept(self, work: "asyncio.Future[None] | object") -> None:
        """One of the tasks that must not end: if it fails, the gateway does."""
        try:
            await work  # type: ignore[misc]
        except Exception as error:
            self.service.fault(error)
            self._break(error)

    async def _drain(self, beat: "asyncio.Task[None]") -> None:
        """Whoever is told "accepted" before the end is in the last checkpoint."""
        await self.app.drain(GOING_AWAY, self._held.config.drain_seconds)
        await self._act(Act.STOP, f"outrider {VERSION}")
        self._held.sequencer.finish()
        await beat
        if self._broken is not None:
            return
        try:
            await self._held.sequencer.drain()
        except (OSError, DiskFull) as error:
            if not disk_full(error):
                raise
            _log.error("the disk is full: the last checkpoint is made after the next start")

    async def _act(self, what: Act, detail: str) -> None:
        """The operator's doings are in the log as everybody's are."""
        gateway = self._gateway()
        if gateway is None:
            return
        try:
            await self._held.store.decide(lambda view: acts.act(view, gateway, what, detail, clock(), self._random))
        except DiskFull:
            _log.error("the disk is full: %s is not in the log", what.name)

    def _watch_metrics(self) -> None:
        metrics, service = self.service.metrics, self.service
        metrics.watch("outrider_sessions", "Devices in session", lambda: len(self.hub))
        metrics.watch("outrider_connections", "Connections", lambda: self._server.open)
        metrics.watch("outrider_sessions_due", "Sessions that wait for their turn", lambda: self.hub.due)
        metrics.watch("outrider_log_size", "Entries under the newest checkpoint", lambda: service.sequencer.head.size)
        metrics.watch(
            "outrider_checkpoint_age_seconds",
            "Since the newest checkpoint was signed",
            lambda: (service.now() - service.sequencer.signed_at) / 1000,
        )
        metrics.watch(
            "outrider_rotted", "What the newest reading of everything has found", lambda: self._scrubbing.found
        )
        metrics.watch("outrider_disk_free_bytes", "Free on the database's disk", service.disk_free)

    # ------------------------------------------------------------------ signals

    async def reload(self, config: Config) -> None:
        """SIGHUP: the charter's successor, the log level, the certificate, the contacts. What is wrong is logged and not taken."""
        logging.getLogger().setLevel(config.log_level.upper())
        try:
            if config.contacts.exists():
                check_private(config.contacts)
            await self._escalating.publish(self._held.post.read(config.contacts))
            if config.charter.is_file():
                _log.info("%s", await install(self._held, config.charter.read_bytes(), self._random))
            if self._context is not None and self.service.charter is not None:
                check_named(self.service.charter, self._held.keys, tls_keys(config))
                self._context.load_cert_chain(config.tls_certificate, config.tls_key)
        except (ConfigRefused, RoadRefused, Refused, OSError, ssl.SSLError, DiskFull) as error:
            _log.error("not reloaded: %s", error)

    def _on_hangup(self) -> None:
        try:
            config = self._reread()
        except ConfigRefused as error:
            _log.error("not reloaded: %s", error)
            return
        self._reloading = asyncio.get_running_loop().create_task(self.reload(config))

    def take_signals(self) -> None:
        """SIGTERM and SIGINT drain, SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
