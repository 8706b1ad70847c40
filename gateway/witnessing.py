"""What of witnesses runs: the slower beat outside, the asking, and what comes of it. Put together here, for `running`."""

import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.audit.asking import Contradicted, HttpAsk, ask_all
from gateway.audit.outside import Outside, Pace
from gateway.audit.sequencer import LogKeys, Sequencer, SignedHead
from gateway.audit.tiles import LogFolder
from gateway.audit.witnesses import Witnesses
from gateway.config import Config, ConfigRefused
from gateway.core.append import Gateway
from gateway.ending import NEWEST
from gateway.store.base import Store
from gateway.web.log import Role, Tokens
from gateway.web.service import Service
from keys.body import Act
from keys.charter import Charter
from keys.identity import Random
from keys.tlog.policy import TrustPolicy

_log = logging.getLogger(__name__)


class Witnessing:
    """A gateway's witnesses. Nothing runs before `work` does. `act` puts the gateway's own words into the log."""

    def __init__(
        self,
        service: Service,
        config: Config,
        keys: LogKeys,
        folder: LogFolder,
        tokens: Tokens,
        gateway: Callable[[], Gateway | None],
        act: Callable[[Act, str], Awaitable[None]],
        random: Random,
    ) -> None:
        self._service = service
        self._config = config
        self._tokens = tokens
        self._act = act
        self._charter: Charter | None = None
        self._policy = TrustPolicy()
        self._ask = HttpAsk(context_of(config))
        self._witnesses = Witnesses(
            keys,
            folder,
            self.policy,
            dict(config.witnesses),
            self._ask,
            service.now,
            config.witness_late_seconds,
            self._alarm,
            self._contradicted,
            service.fault,
        )
        sequencer: Sequencer = service.sequencer
        sequencer.shown = self._witnesses.show
        pace = Pace(config.outside_beat_seconds, config.outside_step)
        self._outside = Outside(service.store, sequencer, pace, gateway, self.watched, service.now, random)
        metrics = service.metrics
        metrics.watch(
            "outrider_witnessed_size", "Entries under the newest cosigned checkpoint", lambda: self._witnesses.size
        )
        metrics.watch("outrider_witnesses_late", "1 while the quorum is late", lambda: float(self._witnesses.late))

    def policy(self) -> TrustPolicy:
        """The charter's, read once for each charter."""
        charter = self._service.charter
        if charter is not self._charter:
            self._charter = charter
            self._policy = TrustPolicy() if charter is None else charter.witness_policy
        return self._policy

    def watched(self) -> bool:
        """Whether anybody outside the mission is shown checkpoints."""
        return bool(self.policy().witnesses) or self._tokens.any(Role.WITNESS)

    def remarks(self) -> list[str]:
        """What `status` says of it."""
        minutes = (self._service.now() - self._witnesses.quorum_at) // 60_000
        return [f"no quorum of witnesses has cosigned for {minutes} min"] if self._witnesses.late else []

    async def _alarm(self, text: str) -> None:
        _log.error("%s", text)
        await self._act(Act.WITNESSES, text)

    def _contradicted(self, found: Contradicted) -> None:
        keep_proof(self._config, found)
        self._service.stop(found)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for ever, each in a task of its own."""
        return [self._witnesses.run(), self._outside.run()]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._ask.close()


async def hear_witnesses(config: Config, store: Store, folder: LogFolder, keys: LogKeys, head: SignedHead) -> None:
    """Hold the log against what the charter's witnesses show of it.

    Raises:
        Contradicted: a checkpoint that this log's key has signed is not of this log. It is kept beside the database.
        ConfigRefused: the file of authorities can't be read.
    """
    with store.snapshot() as view:
        charter = view.charter()
    if charter is None or not charter.policy.witnesses:
        return
    ask = HttpAsk(context_of(config))
    try:
        await ask_all(charter.witness_policy, dict(config.witnesses), ask, keys, folder, head)
    except Contradicted as found:
        keep_proof(config, found)
        raise
    finally:
        await ask.close()


def keep_proof(config: Config, found: Contradicted) -> None:
    """Put the checkpoint that contradicts this log beside the database: whoever takes over cites it."""
    (config.database.parent / NEWEST).write_bytes(found.note)


def context_of(config: Config) -> ssl.SSLContext:
    """TLS to witnesses; raises ConfigRefused."""
    try:
        return ssl.create_default_context(cafile=config.witness_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigRefused(f"witness-ca: {config.witness_ca}: {error}") from None
