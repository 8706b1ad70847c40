"""Roads off the platform against real servers on loopback: what they are sent, and what is made of their answers."""

import asyncio
import hmac
import json
import time
from pathlib import Path

import pytest

from clients.demo.company import free_port
from gateway.core.notices import Result, Tried
from gateway.roads.base import Message, RoadRefused, brevity
from gateway.roads.notify import AppriseRoad
from gateway.roads.settings import AppriseSettings, SmtpSettings, SmtpTls, WebhookSettings
from gateway.roads.smtp import SmtpRoad
from gateway.roads.webhook import WebhookRoad
from tests.gateway.roads.servers import HOST, Hook, MailServer, certificate

NOW = 1_790_000_000_000
ROOT = bytes(range(32))
MESSAGE = Message(b"n" * 32, "lena@example.org", "OUTRIDER: see your device. babab", NOW)
SECRET = "0123456789abcdef"


def mail(port: int, host: str = HOST, **changes: object) -> SmtpRoad:
    settings = {"tls": SmtpTls.NONE, "timeout": 2, **changes}
    return SmtpRoad(SmtpSettings("mail", host, port, "outrider@gateway.example", **settings))  # type: ignore[arg-type]


def pager(url: str, folder: Path, timeout: int = 2) -> WebhookRoad:
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    return WebhookRoad(WebhookSettings("pager", url, secret, timeout))


# --- what is sent ---


def test_the_text_is_brevity_and_nothing_else() -> None:
    assert brevity("OUTRIDER: see your device. {code}", ROOT, False) == "OUTRIDER: see your device. babad"
    assert brevity("Call the desk", ROOT, False) == "Call the desk"


def test_an_exercise_says_so_fore_and_aft() -> None:
    said = brevity("OUTRIDER {code}", ROOT, True)
    assert said == "EXERCISE EXERCISE EXERCISE OUTRIDER babad EXERCISE EXERCISE EXERCISE"


async def test_a_mail() -> None:
    async with MailServer().serving() as server:
        road = mail(server.port)
        assert await road.send(MESSAGE) == Result(Tried.SENT)
        assert await road.send(MESSAGE) == Result(Tried.SENT)
        await road.close()
    [(to, first), (_, second)] = server.got
    assert to == "lena@example.org"
    assert first["To"] == "lena@example.org"
    assert first["From"] == "outrider@gateway.example"
    assert first["Subject"] == MESSAGE.text
    assert first.get_payload().strip() == MESSAGE.text
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] == second["Message-ID"] == f"<{'6e' * 32}@gateway.example>"
    assert first.as_bytes() == second.as_bytes()


async def test_a_post(tmp_path: Path) -> None:
    async with Hook().serving() as server:
        road = pager(server.url, tmp_path)
        assert await road.send(MESSAGE) == Result(Tried.SENT)
        assert await road.send(MESSAGE) == Result(Tried.SENT)
        await road.close()
    [(headers, body), again] = server.got
    assert again[1] == body
    assert again[0]["Idempotency-Key"] == headers["Idempotency-Key"] == "6e" * 32
    assert headers["Outrider-Signature"] == "v1=" + hmac.digest(SECRET.encode(), body, "sha256").hex()
    assert json.loads(body) == {
        "schema": 1,
        "id": "6e" * 32,
        "to": "lena@example.org",
        "text": MESSAGE.text,
        "time": "2026-09-21T14:13:20Z",
    }


# --- what is made of the answers ---


@pytest.mark.parametrize(
    ("answers", "tried", "detail"),
    [
        pytest.param(
            {"RCPT": "550 lena@example.org unknown"}, Tried.REFUSED, "the recipient: 550", id="no such person"
        ),
        pytest.param({"RCPT": "450 greylisted"}, Tried.LATER, "the recipient: 450", id="come again"),
        pytest.param({"MAIL": "553 not you"}, Tried.REFUSED, "the mail: 553", id="not from us"),
        pytest.param({".": "552 too much lena@example.org"}, Tried.REFUSED, "the mail: 552", id="refused at the end"),
        pytest.param({".": "451 later"}, Tried.LATER, "the mail: 451", id="not just now"),
        pytest.param({"EHLO": "421 busy", "HELO": "421 busy"}, Tried.LATER, "the mail: 421", id="busy"),
    ],
)
async def test_what_a_mail_server_says(answers: dict[str, str], tried: Tried, detail: str) -> None:
    async with MailServer(answers=answers).serving() as server:
        road = mail(server.port)
        result = await road.send(MESSAGE)
        await road.close()
    assert result.tried is tried
    assert result.detail.endswith(detail)
    assert "lena" not in result.detail


@pytest.mark.parametrize(
    ("status", "tried"),
    [
        (200, Tried.SENT),
        (202, Tried.SENT),
        (302, Tried.REFUSED),
        (400, Tried.REFUSED),
        (404, Tried.REFUSED),
        (408, Tried.LATER),
        (425, Tried.LATER),
        (429, Tried.LATER),
        (500, Tried.LATER),
        (503, Tried.LATER),
    ],
)
async def test_what_a_webhook_says(status: int, tried: Tried, tmp_path: Path) -> None:
    async with Hook(status).serving() as server:
        road = pager(server.url, tmp_path)
        result = await road.send(MESSAGE)
        await road.close()
    assert result.tried is tried
    assert result.detail == ("" if tried is Tried.SENT else f"the webhook answers {status}")
    assert server.asked == 1  # a redirect is not followed


@pytest.mark.parametrize("verb", ["EHLO", "RCPT", "DATA"])
async def test_a_mail_server_that_hangs(verb: str) -> None:
    async with MailServer(hangs=verb).serving() as server:
        road = mail(server.port, timeout=1)
        result = await road.send(MESSAGE)
        await road.close()
    assert result.tried is Tried.LATER


async def test_a_webhook_that_hangs(tmp_path: Path) -> None:
    async with Hook(hangs=True).serving() as server:
        road = pager(server.url, tmp_path, timeout=1)
        result = await road.send(MESSAGE)
        await road.close()
    assert result == Result(Tried.LATER, "the webhook can't be reached: TimeoutError")


async def test_nobody_there(tmp_path: Path) -> None:
    port = free_port()
    for road in (mail(port), pager(f"http://{HOST}:{port}/in", tmp_path)):
        result = await road.send(MESSAGE)
        assert result.tried is Tried.LATER
        await road.close()


@pytest.mark.parametrize(
    "address",
    ["lena", "lena@example.org\r\nRCPT TO:<eve@example.org>", "a b@example.org", "lena@", "@example.org", "lénа@x"],
)
async def test_what_is_no_mail_address_reaches_no_server(address: str) -> None:
    async with MailServer().serving() as server:
        road = mail(server.port)
        result = await road.send(Message(b"n" * 32, address, "text", NOW))
        await road.close()
    assert result.tried is Tried.REFUSED
    assert server.commands == []


# --- TLS ---


@pytest.mark.parametrize("tls", [SmtpTls.STARTTLS, SmtpTls.TLS])
async def test_mail_over_tls(tls: SmtpTls, tmp_path: Path) -> None:
    context, ca = certificate(tmp_path, int(time.time() * 1000))
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    server = MailServer(context, implicit=tls is SmtpTls.TLS, password="open sesame")
    async with server.serving():
        road = mail(server.port, "localhost", tls=tls, ca=ca, user="outrider", password=password)
        assert await road.send(MESSAGE) == Result(Tried.SENT)
        await road.close()
    assert len(server.got) == 1


async def test_a_wrong_password_is_the_operators_to_mend(tmp_path: Path) -> None:
    context, ca = certificate(tmp_path, int(time.time() * 1000))
    password = tmp_path / "password"
    password.write_text("wrong")
    server = MailServer(context, implicit=True, password="open sesame")
    async with server.serving():
        road = mail(server.port, "localhost", tls=SmtpTls.TLS, ca=ca, user="outrider", password=password)
        result = await road.send(MESSAGE)
        await road.close()
    assert result == Result(Tried.LATER, "the mail server refuses the password: 535")


@pytest.mark.parametrize("tls", [SmtpTls.STARTTLS, SmtpTls.TLS])
async def test_an_unknown_authority_is_sent_nothing(tls: SmtpTls, tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, int(time.time() * 1000))
    server = MailServer(context, implicit=tls is SmtpTls.TLS)
    async with server.serving():
        road = mail(server.port, "localhost", tls=tls)
        result = await road.send(MESSAGE)
        await road.close()
    assert result.tried is Tried.LATER
    assert server.got == []


async def test_a_server_without_starttls_is_sent_nothing_in_the_clear() -> None:
    async with MailServer().serving() as server:
        road = mail(server.port, tls=SmtpTls.STARTTLS)
        result = await road.send(MESSAGE)
        await road.close()
    assert result.tried is Tried.LATER
    assert "RCPT" not in server.commands


# --- apprise ---


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own
async def test_apprise(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="the extra [notify] is not installed")
    async with Hook().serving() as server:
        road = AppriseRoad(AppriseSettings("sms", 5))
        address = f"json://{HOST}:{server.port}/in"
        assert road.understands(address)
        assert not road.understands("no such thing")
        assert await road.send(Message(b"n" * 32, address, MESSAGE.text, NOW)) == Result(Tried.SENT)
        server.status = 500
        assert (await road.send(Message(b"n" * 32, address, MESSAGE.text, NOW))).tried is Tried.LATER
        assert (await road.send(MESSAGE)).tried is Tried.REFUSED
        server.hangs = True
        slow = AppriseRoad(AppriseSettings("sms", 1))
        assert (await slow.send(Message(b"n" * 32, address, MESSAGE.text, NOW))).detail == "the service does not answer"
        await asyncio.gather(road.close(), slow.close())
    assert json.loads(server.got[0][1])["message"] == MESSAGE.text


def test_apprise_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(RoadRefused, match=r'roads.sms: .* needs the extra notify: pip install "outrider\[notify\]"'):
        AppriseRoad(AppriseSettings("sms", 5))


# --- secrets ---


def test_a_secret_too_short(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("short")
    with pytest.raises(RoadRefused, match="at least 16"):
        WebhookRoad(WebhookSettings("pager", "https://x.example", secret, 2))


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RoadRefused, match="No such file"):
        WebhookRoad(WebhookSettings("pager", "https://x.example", tmp_path / "none", 2))
    with pytest.raises(RoadRefused, match="No such file"):
        mail(25, password=tmp_path / "none", user="outrider")


def test_authorities_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RoadRefused, match="ca: "):
        mail(25, tls=SmtpTls.TLS, ca=tmp_path / "none")
