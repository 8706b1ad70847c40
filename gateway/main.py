"""outrider-gateway: the operator's commands, and where the gateway is put together.

`gateway.exits` says what each ends with.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click

from gateway.config import CONFIG_NAME, Address, Config, ConfigRefused, load
from gateway.doctor import examine
from gateway.ending import Ending, ending, lost
from gateway.exits import NO, attempt, run_loop
from gateway.home import Wish, default_origin, found, open_keys
from gateway.lines import start_logging
from gateway.running import VERSION, Opened, Running, clock, install, opened
from gateway.store import database
from gateway.store.base import WrongStore
from gateway.web.log import Role, Tokens
from gateway.witnessing import hear_witnesses

CONFIG = click.option("--config", "config_path", type=click.Path(path_type=Path), required=True, help="gateway.toml")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="outrider-gateway")
def main() -> None:
    """The gateway of an Outrider mission: it moves sealed messages and keeps the log.

    \b
    Example:
      outrider-gateway init --dir /var/lib/outrider --url https://gw.example:8440
      outrider-gateway charter --config /var/lib/outrider/gateway.toml charter.note
      outrider-gateway run --config /var/lib/outrider/gateway.toml
    """


@main.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--url", help="Where clients reach it: https://HOST:PORT (default: from --listen).")
@click.option(
    "--listen", default="127.0.0.1:8440", show_default=True, help="HOST:PORT; port 0 takes a free one at each start."
)
@click.option(
    "--metrics", default="127.0.0.1:8441", show_default=True, help="HOST:PORT of /metrics, /livez and /readyz."
)
@click.option("--origin", help="The log's name, for ever (default: the host and eight random digits).")
@click.option(
    "--proxy-certificate",
    "proxy",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Certificate (PEM) of a proxy on this machine that ends TLS; may be given again.",
)
@click.option(
    "--succeeds",
    "old",
    type=click.Path(path_type=Path),
    help="The folder of a gateway whose log can't go on: this one's takes its place.",
)
@click.option(
    "--old-charter",
    "old_charters",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Where that folder is gone: the mission's charters, from the first on; may be given again.",
)
@click.option(
    "--head",
    "heads",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint of that log which somebody kept; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def init(
    folder: Path,
    url: str | None,
    listen: str,
    metrics: str,
    origin: str | None,
    proxy: tuple[Path, ...],
    old: Path | None,
    old_charters: tuple[Path, ...],
    heads: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Make a gateway: keys, database, log, gateway.toml and gateway.request. The only command that creates a log.

    \b
    Example:
      outrider-gateway init --dir gateway --url https://gw.example:8440
    """

    def work() -> None:
        address = Address.parse(listen)
        where = url or f"https://{address}"
        succeeds = _ending(old, old_charters, heads)
        wish = Wish(
            folder,
            where,
            origin or default_origin(where, os.urandom),
            address,
            Address.parse(metrics),
            proxy,
            succeeds,
        )
        request = run_loop(found(wish, os.urandom, clock()))
        if as_json:
            say = {"dir": str(folder), "url": request.url, "origin": request.origin, "words": request.words}
            click.echo(json.dumps({"schema": 1, **say}))
            return
        click.echo(f"made {folder}: log {request.origin}")
        if succeeds is not None:
            missing = succeeds.head.size - succeeds.kept
            click.echo(
                f"in the place of {succeeds.head.origin}: {succeeds.head.size} entries signed for, {missing} of them lost"
            )
        click.echo(f"words of gateway.request: {request.words}")
        verb = "`outrider mission init`" if succeeds is None else "`outrider mission charter propose --gateway`"
        click.echo(f"next: carry {folder / 'gateway.request'} to {verb}, and bring its charter back", err=True)

    attempt(work)


def _ending(old: Path | None, charters: tuple[Path, ...], heads: tuple[Path, ...]) -> Ending | None:
    """The log that a new one takes the place of, as far as anything is said of it."""
    if old is not None and charters:
        raise ConfigRefused("--succeeds has the charters itself: give --old-charter only where that folder is gone")
    if old is not None:
        return run_loop(ending(old, heads))
    if heads and not charters:
        raise ConfigRefused("--head belongs to --succeeds or --old-charter")
    return lost(charters, heads) if charters else None


@main.command()
@click.argument("charter", type=click.Path(path_type=Path))
@click.option("--config", "config_path", type=click.Path(path_type=Path), default=Path(CONFIG_NAME), show_default=True)
def charter(charter: Path, config_path: Path) -> None:
    """Install the charter that names this gateway, or its successor. The gateway must be stopped.

    To a running gateway, give it without a stop: put it in its folder as charter.note and send SIGHUP.

    \b
    Example:
      outrider-gateway charter --config gateway/gateway.toml charter.note
    """

    async def put(config: Config, note: bytes) -> str:
        try:
            async with opened(config) as held:
                line = await install(held, note, os.urandom)
                await held.sequencer.drain()
                return line
        except WrongStore as error:
            if "another gateway is running" not in str(error):
                raise
            raise WrongStore(
                f"the gateway is running: copy the charter to {config.charter} and send it SIGHUP, or stop it first"
            ) from None

    attempt(lambda: click.echo(run_loop(put(load(config_path), charter.read_bytes()))))


@main.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="The line that says where it listens as JSON.")
def run(config_path: Path, as_json: bool) -> None:
    """Run the gateway until SIGTERM, which drains it; SIGHUP reloads charter.note, log level and certificate.

    \b
    Example:
      outrider-gateway run --config gateway/gateway.toml
    """

    def said(listening: str, metrics: str) -> None:
        if as_json:
            print(json.dumps({"schema": 1, "listening": listening, "metrics": metrics}), flush=True)
        else:
            print(f"listening {listening}\nmetrics {metrics}", flush=True)

    async def serve(config: Config) -> None:
        async with opened(config) as held:
            running = Running(held, os.urandom, said, lambda: load(config_path))
            running.take_signals()
            await running.run()

    def work() -> None:
        config = load(config_path)
        start_logging(config.log_level)
        run_loop(serve(config))

    attempt(work)


@main.command()
@CONFIG
def check(config_path: Path) -> None:
    """Do all that `run` does before it listens: configuration, secrets, database, log and charter.

    \b
    Example:
      outrider-gateway check --config gateway/gateway.toml
    """

    def told(held: Opened) -> str:
        with held.store.snapshot() as view:
            in_force = view.charter()
            waiting = view.log_size() - held.sequencer.head.size
        what = f"charter version {in_force.policy.version}" if in_force else "no charter yet"
        return f"sound: {held.sequencer.head.size} entries signed for, {waiting} wait; {what}"

    async def look(config: Config) -> str:
        async with opened(config) as held:
            await hear_witnesses(config, held.store, held.folder, held.keys.log, held.sequencer.head)
            return told(held)

    attempt(lambda: click.echo(run_loop(look(load(config_path)))))


@main.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding, and one at the end.")
def doctor(config_path: Path, as_json: bool) -> None:
    """Read all that the gateway keeps and name what is not as it was written. Beside a running gateway, or without.

    Each page of the database, each body, each entry in both of its places, the tiles up to the signed root. Exit 0 sound, 1 not.

    \b
    Example:
      outrider-gateway doctor --config gateway/gateway.toml
    """

    def work() -> int:
        found, parts = 0, 0
        for part in examine(load(config_path)):
            parts += 1
            for line in part:
                found += 1
                click.echo(json.dumps({"schema": 1, "rotted": line}) if as_json else line)
        said = {"schema": 1, "sound": not found, "found": found, "parts": parts}
        words = f"{found} findings" if found else f"sound: {parts} parts read"
        click.echo(json.dumps(said) if as_json else words)
        return NO if found else 0

    sys.exit(attempt(work))


@main.command()
@CONFIG
def migrate(config_path: Path) -> None:
    """Bring the database to this version's schema, after an upgrade that `check` says needs it. The gateway must be stopped.

    No older gateway opens it afterwards: copy the folder first.

    \b
    Example:
      outrider-gateway migrate --config gateway/gateway.toml
    """

    def work() -> str:
        before, after = database.migrate(load(config_path).database)
        return f"schema {after} already: nothing to do" if before == after else f"schema {before} is schema {after} now"

    attempt(lambda: click.echo(work()))


@main.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(config_path: Path, as_json: bool) -> None:
    """Ask the running gateway whether it is ready. Exit 0 ready, 1 not ready, 3 not reachable.

    \b
    Example:
      outrider-gateway status --config gateway/gateway.toml
    """

    def work() -> int:
        config = load(config_path)
        if not config.metrics.port:
            raise ConfigRefused("metrics takes a free port at each start: name one in gateway.toml to be asked there")
        try:
            with urllib.request.urlopen(f"http://{config.metrics}/readyz", timeout=5) as answer:
                lines, ready = answer.read().decode(), True
        except urllib.error.HTTPError as error:
            lines, ready = error.read().decode(), False
        wrong = [] if ready else lines.splitlines()
        remarks = lines.splitlines()[1:] if ready else []
        said = {"schema": 1, "ready": ready, "wrong": wrong, "remarks": remarks}
        click.echo(json.dumps(said) if as_json else lines.strip())
        return 0 if ready else NO

    sys.exit(attempt(work))


@main.group()
def log() -> None:
    """The log: its key, its checkpoint, and who may read it.

    \b
    Example:
      outrider-gateway log token --config gateway/gateway.toml --role auditor --name gita
    """


@log.command()
@CONFIG
@click.option("--ml-dsa", is_flag=True, help="The ML-DSA-44 key, which signs beside the Ed25519 one.")
def key(config_path: Path, ml_dsa: bool) -> None:
    """The log's verifier key (C2SP vkey), one line.

    \b
    Example:
      outrider-gateway log key --config gateway/gateway.toml > log.vkey
    """

    def work() -> None:
        keys = open_keys(load(config_path)).log
        click.echo((keys.ml_dsa.verifier_key if ml_dsa else keys.ed25519.verifier_key).encode())

    attempt(work)


@log.command()
@CONFIG
def checkpoint(config_path: Path) -> None:
    """The newest published checkpoint: note it outside of this machine, and nothing before it can be taken back.

    \b
    Example:
      outrider-gateway log checkpoint --config gateway/gateway.toml > head
    """

    def work() -> None:
        path = load(config_path).log / "checkpoint"
        click.echo(path.read_bytes().decode(), nl=False)

    attempt(work)


@log.command()
@CONFIG
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", required=True, help="An auditor's as the charter names it; a witness's as you like.")
def token(config_path: Path, role: str, name: str) -> None:
    """Make a token for reading the log, in place of the one that this reader had. It is shown once.

    \b
    Example:
      outrider-gateway log token --config gateway/gateway.toml --role auditor --name gita
    """
    attempt(lambda: click.echo(Tokens(load(config_path).tokens).issue(Role(role), name, os.urandom)))


if __name__ == "__main__":
    main()
