"""`outrider audit witness`: a witness for a partner organisation. Needs no profile and no device.

Plain click and nothing of the other shells: of ours a witness imports `keys` alone.
"""

import asyncio
import json
import logging
import os
import ssl
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Final

import apsw
import click

from clients.witness.home import make, open_keys, open_store
from clients.witness.judge import Judge
from clients.witness.server import WitnessServer
from clients.witness.store import Record, WrongStore
from keys.tlog.errors import TlogError
from keys.tlog.witness import monitoring_path

SCHEMA: Final = 1
_PATH: Final = click.Path(path_type=Path)
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


class Refused(click.ClickException):
    """What can't be done, in a sentence."""

    exit_code = 2


class Unreachable(click.ClickException):
    """The address or the disk can't be had."""

    exit_code = 3


@click.group()
def witness() -> None:
    """Run a witness: it cosigns checkpoints of other organisations' logs, and only those that contain what it signed before.

    Example: outrider audit witness run /var/lib/witness --listen 0.0.0.0:8450
    """


@witness.command("init")
@click.argument("folder", type=_PATH)
@click.option("--name", required=True, help="The witness's name: a URL without scheme, as witness.hostpol.example.")
@_JSON
def init(folder: Path, name: str, as_json: bool) -> None:
    """Make a witness in FOLDER: its two keys, and an empty store. Hand its verifier keys to the missions.

    Example: outrider audit witness init /var/lib/witness --name witness.hostpol.example
    """
    try:
        keys = make(folder, name, os.urandom)
    except (WrongStore, TlogError) as error:
        raise Refused(str(error)) from None
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "name": name, "vkeys": list(keys.vkeys)}))
        return
    for vkey in keys.vkeys:
        click.echo(f"witness {name} {vkey}")


@witness.command("key")
@click.argument("folder", type=_PATH)
@click.option("--ml-dsa", is_flag=True, help="The ML-DSA-44 key in place of the Ed25519 one.")
@_JSON
def key(folder: Path, ml_dsa: bool, as_json: bool) -> None:
    """Print the witness's verifier key, one line.

    Example: outrider audit witness key /var/lib/witness
    """
    try:
        vkeys = open_keys(folder).vkeys
    except WrongStore as error:
        raise Refused(str(error)) from None
    click.echo(json.dumps({"schema": SCHEMA, "vkeys": list(vkeys)}) if as_json else vkeys[ml_dsa])


@witness.command("log")
@click.argument("folder", type=_PATH)
@click.argument("files", type=_PATH, nargs=-1, required=True)
@click.option("--origin", default="", help="The log's origin, where its keys have another name.")
@_JSON
def trust_log(folder: Path, files: tuple[Path, ...], origin: str, as_json: bool) -> None:
    """Cosign for the log whose verifier keys stand in FILES (log.vkey, log-mldsa44.vkey), brought by hand. A running witness
    takes it at once; for a log that it knows, the keys are replaced.

    Example: outrider audit witness log /var/lib/witness log.vkey
    """
    try:
        vkeys = [line.strip() for file in files for line in file.read_text("ascii").splitlines() if line.strip()]
        store = open_store(folder)
        origin = store.trust(vkeys, origin)
        store.close()
    except (WrongStore, TlogError, UnicodeDecodeError, OSError) as error:
        raise Refused(str(error)) from None
    shown = {"schema": SCHEMA, "origin": origin, "path": monitoring_path(origin)}
    click.echo(json.dumps(shown) if as_json else f"cosigns for {origin}")


@witness.command("list")
@click.argument("folder", type=_PATH)
@_JSON
def list_logs(folder: Path, as_json: bool) -> None:
    """List the logs, how far each was cosigned, and what contradicts itself: exit 1 where there is such evidence.

    Example: outrider audit witness list /var/lib/witness
    """
    try:
        store = open_store(folder)
    except WrongStore as error:
        raise Refused(str(error)) from None
    accused = 0
    for record in store.records():
        evidence = store.evidence(record.origin)
        accused += len(evidence)
        if as_json:
            click.echo(json.dumps(_object(record, evidence)))
            continue
        click.echo(f"{record.origin}  {record.size} entries, cosigned {_moment(record.time) or 'never'}")
        for held, other in evidence:
            click.echo(f"EVIDENCE  the log signed both of these:\n{held.decode()}\n{other.decode()}")
    store.close()
    sys.exit(1 if accused else 0)


def _object(record: Record, evidence: list[tuple[bytes, bytes]]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "origin": record.origin,
        "vkeys": list(record.vkeys),
        "size": record.size,
        "root": b64encode(record.root).decode(),
        "cosigned": _moment(record.time),
        "path": monitoring_path(record.origin),
        "evidence": [[held.decode(), other.decode()] for held, other in evidence],
    }


def _moment(seconds: int) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None


@witness.command("run")
@click.argument("folder", type=_PATH)
@click.option("--listen", default="127.0.0.1:8450", show_default=True, help="HOST:PORT; port 0 takes a free one.")
@click.option("--tls-certificate", type=_PATH, metavar="FILE", help="Certificate chain (PEM); without it plain HTTP.")
@click.option("--tls-key", type=_PATH, metavar="FILE", help="Its private key (PEM).")
@_JSON
def run(folder: Path, listen: str, tls_certificate: Path | None, tls_key: Path | None, as_json: bool) -> None:
    """Answer logs and monitors until SIGTERM. Behind a proxy, or with a certificate of its own.

    Example: outrider audit witness run /var/lib/witness --listen 0.0.0.0:8450 --tls-certificate w.pem --tls-key w.key
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Refused(f"{listen} is no HOST:PORT")
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        keys, store = open_keys(folder), open_store(folder)
        context = None if tls_certificate is None else _context(tls_certificate, tls_key)
    except (WrongStore, OSError) as error:
        raise Refused(str(error)) from None

    def said(url: str) -> None:
        print(json.dumps({"schema": SCHEMA, "listening": url}) if as_json else f"listening {url}", flush=True)

    judge = Judge(store, (keys.ed25519, keys.ml_dsa), lambda: int(time.time()))
    try:
        asyncio.run(WitnessServer(judge).run(host.strip("[]"), int(port), context, said))
    except (OSError, apsw.Error) as error:
        raise Unreachable(str(error)) from None
    finally:
        store.close()


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # other organisations' logs are not ours to choose for
    context.load_cert_chain(certificate, key)
    return context
