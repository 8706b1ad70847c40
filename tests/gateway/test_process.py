"""The operator's commands and the process: what `init` makes, what stops a start, and what every way of ending leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from gateway import wire
from gateway.config import Address, ConfigRefused, Tls, load, parse, render
from gateway.store.database import connect
from gateway.web.log import Role, Tokens, TokensRefused
from keys.body import Act, read_gateway_act
from keys.charter import sign
from keys.envelope import Kind, read, read_entry
from keys.policy import render as render_policy
from keys.request import read_request
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import NotFound
from keys.tlog.reader import LogReader
from tests.gateway.web.live import Link, Live, Process, command, founded, run_command, running, terminate


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A founded gateway with its charter, to copy."""
    folder = tmp_path_factory.mktemp("template") / "gateway"
    founded(folder)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "gateway"))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with running(tmp_path / "gateway") as live:
        yield live


def entries(folder: Path) -> list[bytes]:
    """The whole log, read as an auditor does."""
    vkey = (folder / "log.vkey").read_text().strip()
    pq = (folder / "log-mldsa44.vkey").read_text().strip()
    origin = vkey.split("+")[0]
    note = (folder / "log" / "checkpoint").read_bytes()
    checkpoint = open_checkpoint(note, [verifier_of(vkey), verifier_of(pq)], origin)

    def fetch(path: str) -> bytes:
        try:
            return (folder / "log" / path).read_bytes()
        except FileNotFoundError:
            raise NotFound(path) from None

    reader = LogReader(fetch, checkpoint)
    found = [entry for run in reader.entries() for entry in run.entries]
    reader.check_tiles()
    return found


def kinds(folder: Path) -> list[Kind]:
    return [read(read_entry(entry).envelope).context.kind for entry in entries(folder)]


# ---------------------------------------------------------------------- init


def test_init_makes_a_gateway(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = command("init", "--dir", folder, "--url", "https://gw.example:8440", "--origin", "log.example/one", "--json")
    assert made.returncode == 0, made.stderr
    request = read_request((folder / "gateway.request").read_text())
    assert (request.url, request.origin) == ("https://gw.example:8440", "log.example/one")
    assert json.loads(made.stdout)["words"] == request.words
    assert (folder / "log.vkey").read_text().strip() == request.log_key
    assert command("log", "key", "--config", folder / "gateway.toml").stdout.strip() == request.log_key
    assert entries(folder) == []
    assert command("log", "checkpoint", "--config", folder / "gateway.toml").stdout.startswith("log.example/one\n0\n")
    for secret in ("secrets/gateway.key", "secrets/log.key", "secrets/log-mldsa44.key", "tls/key.pem", "gateway.db"):
        assert stat.S_IMODE((folder / secret).stat().st_mode) == 0o600, secret
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = command("init", "--dir", folder, "--url", "https://gw.example:8440")
    assert again.returncode == 2
    assert "not empty" in again.stderr
    checked = command("check", "--config", folder / "gateway.toml")
    assert (checked.returncode, checked.stdout) == (0, "sound: 0 entries signed for, 0 wait; no charter yet\n")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--listen", "nowhere"], id="no port"),
        pytest.param(["--url", "http://gw.example"], id="not https"),
        pytest.param(["--origin", "two words"], id="an origin that no key can be named by"),
        pytest.param(["--proxy-certificate", "absent.pem"], id="no such certificate"),
        pytest.param(
            ["--listen", "0.0.0.0:8440", "--proxy-certificate", "certificate.pem"], id="proxy, not on loopback"
        ),
    ],
)
def test_init_with_wrong_values_makes_nothing(tmp_path: Path, template: Path, options: list[str]) -> None:
    shutil.copy(template / "tls" / "certificate.pem", tmp_path / "certificate.pem")
    options = [str(tmp_path / o) if o.endswith(".pem") else o for o in options]
    made = command("init", "--dir", tmp_path / "new", *options)
    assert made.returncode == 2, made.stderr
    assert "Traceback" not in made.stderr
    assert not (tmp_path / "new").exists()


def test_behind_a_proxy_its_key_is_the_one_named(tmp_path: Path, template: Path) -> None:
    from gateway.web.tls import key_hash

    certificate = template / "tls" / "certificate.pem"
    made = command("init", "--dir", tmp_path / "new", "--proxy-certificate", certificate)
    assert made.returncode == 0, made.stderr
    assert load(tmp_path / "new" / "gateway.toml").tls is Tls.PROXY
    request = read_request((tmp_path / "new" / "gateway.request").read_text())
    assert request.tls_keys == [key_hash(certificate.read_bytes())]


# ---------------------------------------------------------------------- what stops a start


def newer_schema(folder: Path) -> None:
    db = connect(folder / "gateway.db")
    db.execute("PRAGMA user_version = 999")
    db.close()


def no_database(folder: Path) -> None:
    (folder / "gateway.db").rename(folder / "elsewhere.db")


def another_program(folder: Path) -> None:
    (folder / "gateway.db").unlink()
    apsw.Connection(str(folder / "gateway.db")).execute("CREATE TABLE t (x)")


def not_a_database(folder: Path) -> None:
    (folder / "gateway.db").write_bytes(b"x" * 8_192)


def open_secret(folder: Path) -> None:
    (folder / "secrets" / "log.key").chmod(0o640)


def no_secret(folder: Path) -> None:
    (folder / "secrets" / "gateway.key").unlink()


def other_gateway_key(folder: Path) -> None:
    path = folder / "secrets" / "gateway.key"
    path.write_text("A" * 43 + "=\n")


def other_tls_key(folder: Path) -> None:
    from gateway.web.tls import make_certificate

    certificate, key = make_certificate("127.0.0.1", time.time_ns() // 1_000_000)
    (folder / "tls" / "certificate.pem").write_bytes(certificate)
    (folder / "tls" / "key.pem").write_bytes(key)


def no_log(folder: Path) -> None:
    shutil.rmtree(folder / "log")


def unknown_key(folder: Path) -> None:
    with (folder / "gateway.toml").open("a") as file:
        file.write("max_connections = 5\n")


def wrong_tokens(folder: Path) -> None:
    (folder / "tokens").write_text("somebody\n")


def no_floor(folder: Path) -> None:
    (folder / "log.floor").unlink()


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        pytest.param(newer_schema, 2, "install the newer gateway", id="a newer schema"),
        pytest.param(no_database, 2, "no database", id="attack-82 a wrong database path"),
        pytest.param(another_program, 2, "no database of this gateway", id="attack-82 another program's database"),
        pytest.param(not_a_database, 2, "no database of this gateway", id="attack-82 no database at all"),
        pytest.param(open_secret, 2, "chmod 600", id="a secret that others may read"),
        pytest.param(no_secret, 2, "gateway.key", id="a secret that is gone"),
        pytest.param(other_gateway_key, 2, "names another gateway", id="another gateway's key"),
        pytest.param(other_tls_key, 2, "TLS key", id="a TLS key that the charter does not name"),
        pytest.param(no_log, 2, "no log", id="no log"),
        pytest.param(unknown_key, 2, "unknown key 'max_connections'", id="an unknown setting"),
        pytest.param(wrong_tokens, 2, "tokens", id="a file of tokens that is none"),
        pytest.param(no_floor, 1, "log.floor", id="no floor"),
    ],
)
def test_what_stops_the_start(folder: Path, spoil: Callable[[Path], None], code: int, says: str) -> None:
    spoil(folder)
    before = sorted(path.name for path in folder.iterdir())
    done = command("check", "--config", folder / "gateway.toml")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1, "one line, no trace"
    assert sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))) == before


def test_run_looks_as_check_does_before_it_listens(folder: Path) -> None:
    newer_schema(folder)
    done = run_command(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "install the newer gateway" in done.stderr


def test_a_second_gateway_on_the_same_folder_is_refused(live: Live) -> None:
    for done in (run_command(live.folder), command("check", "--config", live.folder / "gateway.toml")):
        assert done.returncode == 2
        assert "another gateway is running" in done.stderr
    charter = live.folder.parent / "gateway.charter"
    done = command("charter", charter, "--config", live.folder / "gateway.toml")
    assert done.returncode == 2
    assert "SIGHUP" in done.stderr


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = (folder / "gateway.toml").read_text()
        listen = f'listen = "127.0.0.1:{taken.getsockname()[1]}"'
        (folder / "gateway.toml").write_text(re.sub("listen = .*", listen, text))
        done = run_command(folder)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------- charters


def test_a_charter_for_another_gateway_is_refused(tmp_path: Path, template: Path) -> None:
    other = tmp_path / "other"
    assert command("init", "--dir", other).returncode == 0
    done = command("charter", template.parent / "gateway.charter", "--config", other / "gateway.toml")
    assert done.returncode == 2
    assert "gateway.request" in done.stderr
    assert kinds(other) == []


def test_a_charter_is_logged_once(folder: Path, template: Path) -> None:
    assert kinds(folder) == [Kind.CHARTER]
    again = command("charter", template.parent / "gateway.charter", "--config", folder / "gateway.toml")
    assert (again.returncode, again.stdout.strip().endswith("in force already")) == (0, True)
    assert kinds(folder) == [Kind.CHARTER]


def test_a_note_that_is_no_charter_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"hello")
    done = command("charter", tmp_path / "note", "--config", folder / "gateway.toml")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_successor_comes_in_by_sighup(live: Live) -> None:
    agent = live.enrolled("agent")
    link = live.link(agent)
    assert isinstance(link.ask(wire.Follow(1, [])), wire.Channels)
    policy = live.mission.successor(auditors=("gita", "hari"))
    note = sign(render_policy(policy), live.mission.authorities[:2])
    (live.folder / "charter.note").write_bytes(note)
    live.gateway.signal(signal.SIGHUP)
    while link.until(wire.Notice).alarm is not wire.Alarm.CHARTER:
        pass
    assert link.ask(wire.GetCharter(2, 0)).note == note
    (live.folder / "charter.note").write_bytes(note + b"x")
    live.gateway.signal(signal.SIGHUP)
    live.gateway.says("not reloaded")
    assert link.ask(wire.GetCharter(3, 0)).note == note


# ---------------------------------------------------------------------- ways of ending


def test_sigterm_drains(live: Live) -> None:
    officer = live.enrolled("officer")
    link = live.link(officer)
    link.ask(wire.Follow(1, []))
    channel = officer.create_channel()
    accepted = officer.send(channel)
    assert isinstance(accepted, wire.Accepted)
    live.gateway.signal(signal.SIGTERM)
    while (notice := link.until(wire.Notice)).alarm is not wire.Alarm.DRAINING:
        pass
    assert "come again" in notice.detail
    assert 0 < notice.retry_after < 1_000, "there are few of us"
    assert link.closed() == 1001
    assert live.gateway.wait() == 0
    log = entries(live.folder)
    acts = [read(read_entry(e).envelope).context.kind for e in log]
    assert len(log) > accepted.places[0].index
    assert acts[-1] is Kind.GATEWAY_ACT
    assert acts.count(Kind.GATEWAY_ACT) == 2  # START and STOP
    db = apsw.Connection(str(live.folder / "gateway.db"))
    bodies = [b for (b,) in db.execute("SELECT body FROM envelopes WHERE kind = 23 ORDER BY idx")]
    db.close()
    assert [read_gateway_act(b).act for b in bodies] == [Act.START, Act.STOP]
    assert "Traceback" not in live.gateway.errors
    assert "fault" not in live.gateway.errors


def test_what_was_accepted_survives_kill_9(live: Live) -> None:
    officer, agent = live.enrolled("officer"), live.enrolled("agent")
    channel = officer.create_channel()
    officer.add(channel, agent)
    places = []
    for round_ in range(3):
        for _ in range(10):
            accepted = officer.send(channel)
            assert isinstance(accepted, wire.Accepted)
            places.append(accepted.places[0])
        live.gateway.process.kill()  # anywhere between two steps of the sequencer
        live.gateway.wait()
        live.disconnect()
        live.gateway = Process.start(live.folder)
        link = live.link(officer)
        proven = link.prove([p.index for p in places])
        assert len(proven.paths) == 10 * (round_ + 1)
    live.disconnect()
    link = live.link(agent)
    link.ask(wire.Follow(1, [wire.Position(channel, 2)]))
    got: list[int] = []
    while len(got) < len(places):
        placed = link.until(wire.Deliver).placed
        if placed.channel == channel:
            got.append(placed.place.seq)
    assert got == [p.seq for p in places]
    assert terminate(live.gateway) == 0
    log = entries(live.folder)
    for place in places:
        assert read_entry(log[place.index]).seq == place.seq


def test_the_same_run_again_after_a_crash_gives_the_same_answer(live: Live) -> None:
    officer = live.enrolled("officer")
    channel = officer.create_channel()
    envelope, data = officer.message(channel)
    submit = wire.Submit(7, [wire.Sealed(envelope.header, envelope.signature, data)])
    first = live.link(officer).ask(submit)
    live.gateway.process.kill()
    live.gateway.wait()
    live.disconnect()
    live.gateway = Process.start(live.folder)
    assert live.link(officer).ask(submit) == first


def test_a_database_from_before_is_refused(live: Live, tmp_path: Path) -> None:
    officer = live.enrolled("officer")
    channel = officer.create_channel()
    assert terminate(live.gateway) == 0
    shutil.copy(live.folder / "gateway.db", tmp_path / "old.db")
    live.disconnect()
    live.gateway = Process.start(live.folder)
    officer.send(channel)
    assert terminate(live.gateway) == 0
    for file in ("gateway.db-wal", "gateway.db-shm"):
        (live.folder / file).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.db", live.folder / "gateway.db")
    done = command("check", "--config", live.folder / "gateway.toml")
    assert done.returncode == 1
    assert "ROLLBACK" in done.stderr


def test_status(live: Live) -> None:
    text = (live.folder / "gateway.toml").read_text()
    asked = live.folder / "asked.toml"
    asked.write_text(re.sub("metrics = .*", f'metrics = "127.0.0.1:{live.gateway.metrics}"', text))
    done = command("status", "--config", asked, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        {"schema": 1, "ready": True, "wrong": [], "remarks": []},
    )
    terminate(live.gateway)
    assert command("status", "--config", asked).returncode == 3


def test_a_gateway_without_a_charter_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    assert command("init", "--dir", folder, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0").returncode == 0
    process = Process.start(folder)
    try:
        link = Link(process.port)
        link.send(wire.Hello(1, bytes(16), bytes(32)))
        assert link.receive().refusal is wire.Refusal.CHARTER
        link.close()
    finally:
        terminate(process)
        Link.opened.clear()
    assert kinds(folder) == []


# ---------------------------------------------------------------------- configuration and tokens

MINIMAL = (
    b'url = "https://gw.example"\norigin = "log.example"\nlisten = "127.0.0.1:1"\nmetrics = "[::1]:2"\ntls = "own"\n'
)


def test_a_configuration_is_read_as_it_was_written() -> None:
    text = render("https://gw.example", 'a"b', Address("::1", 8440), Address("127.0.0.1", 0), Tls.OWN)
    config = parse(text.encode(), Path("/etc/outrider"))
    assert (config.url, config.origin, config.tls) == ("https://gw.example", 'a"b', Tls.OWN)
    assert (config.listen, config.metrics) == (Address("::1", 8440), Address("127.0.0.1", 0))
    assert config.database == Path("/etc/outrider/gateway.db")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MINIMAL + b'colour = "red"\n', id="unknown key"),
        pytest.param(MINIMAL + b'tls_key = "x"\n', id="underscore"),
        pytest.param(MINIMAL.replace(b"listen", b"listne"), id="misspelt"),
        pytest.param(MINIMAL.replace(b'"own"', b'"none"'), id="no such tls"),
        pytest.param(MINIMAL.replace(b"127.0.0.1:1", b"127.0.0.1:99999"), id="port too high"),
        pytest.param(MINIMAL + b"drain-seconds = 0\n", id="number too low"),
        pytest.param(MINIMAL + b"drain-seconds = true\n", id="not a number"),
        pytest.param(MINIMAL + b'log-level = "loud"\n', id="no such level"),
        pytest.param(
            MINIMAL.replace(b"127.0.0.1:1", b"0.0.0.0:1").replace(b"own", b"proxy"), id="proxy not on loopback"
        ),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="not text"),
        pytest.param(b"[", id="not TOML"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigRefused):
        parse(text, Path("/"))


def test_every_option_is_in_the_example() -> None:
    example = Path(__file__).resolve().parents[2] / "deploy" / "gateway.toml"
    config = parse(example.read_bytes(), Path("/var/lib/outrider"))
    plain = example.read_text().replace("# ", "")
    for name in type(config).__slots__:
        assert re.search(rf"^(\[{name}\.|{name.replace('_', '-')} = )", plain, re.M), name
    roads = re.sub(r"^# (?=\[|[a-z-]+ = )", "", example.read_text(), flags=re.M)
    whole = parse(roads.encode(), Path("/var/lib/outrider"))
    assert [road.name for road in whole.roads] == ["mail", "pager", "sms"]


def test_tokens(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens")
    first = tokens.issue(Role.WITNESS, "w", os.urandom)
    reader = Tokens(tmp_path / "tokens")
    assert reader.reader(f"Bearer {first}") is not None
    second = tokens.issue(Role.WITNESS, "w", os.urandom)
    assert reader.reader(f"Bearer {first}") is None
    assert reader.reader(f"Bearer {second}") is not None
    for header in ("", second, f"bearer {second}", f"Bearer  {second}", "Bearer " + "x" * 1_000, "Bearer \udcff"):
        assert reader.reader(header) is None
    assert first not in (tmp_path / "tokens").read_text()
    for name in ("", "two words", "x" * 101, "é"):
        with pytest.raises(TokensRefused):
            tokens.issue(Role.AUDITOR, name, os.urandom)
