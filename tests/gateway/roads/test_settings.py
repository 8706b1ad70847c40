"""What gateway.toml and the contacts file may say of roads: read whole, or refused with the line that is wrong."""

from pathlib import Path

import pytest

from gateway.config import ConfigRefused, parse
from gateway.roads import contacts
from gateway.roads.base import RoadRefused
from gateway.roads.post import check_addresses
from gateway.roads.settings import AppriseSettings, SmtpSettings, SmtpTls, WebhookSettings
from gateway.roads.smtp import SmtpRoad
from keys.identity import PersonId

HEAD = """
url = "https://gateway.example:8440"
origin = "gateway.example/outrider/1"
listen = "127.0.0.1:8440"
metrics = "127.0.0.1:8441"
tls = "own"
"""
FOLDER = Path("/var/lib/outrider")
LENA, RUTH = "0a" * 16, "0b" * 16


def road(lines: str, name: str = "mail", head: str = "") -> bytes:
    return f"{HEAD}{head}\n[roads.{name}]\n{lines}\n".encode()


SMTP = 'kind = "smtp"\nhost = "mail.example"\nfrom = "outrider@gateway.example"\n'
HOOK = 'kind = "webhook"\nurl = "https://pager.example/in"\nsecret = "secrets/pager.key"\n'


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        pytest.param(
            SMTP,
            SmtpSettings("mail", "mail.example", 587, "outrider@gateway.example", SmtpTls.STARTTLS, 20),
            id="mail, as short as can be",
        ),
        pytest.param(
            SMTP + 'tls = "tls"\nport = 4465\nuser = "u"\npassword = "pw"\nca = "ca.pem"\ntimeout-seconds = 7',
            SmtpSettings(
                "mail",
                "mail.example",
                4465,
                "outrider@gateway.example",
                SmtpTls.TLS,
                7,
                "u",
                FOLDER / "pw",
                FOLDER / "ca.pem",
            ),
            id="mail, whole",
        ),
        pytest.param(
            SMTP.replace("mail.example", "127.0.0.1") + 'tls = "none"',
            SmtpSettings("mail", "127.0.0.1", 25, "outrider@gateway.example", SmtpTls.NONE, 20),
            id="mail by this machine's own server",
        ),
        pytest.param(
            HOOK,
            WebhookSettings("mail", "https://pager.example/in", FOLDER / "secrets/pager.key", 20),
            id="a webhook",
        ),
        pytest.param(
            HOOK.replace("https://pager.example", "http://localhost:9"),
            WebhookSettings("mail", "http://localhost:9/in", FOLDER / "secrets/pager.key", 20),
            id="a webhook on this machine",
        ),
        pytest.param('kind = "apprise"', AppriseSettings("mail", 20), id="apprise"),
    ],
)
def test_roads_that_are_taken(lines: str, settings: object) -> None:
    assert parse(road(lines), FOLDER).roads == (settings,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(road('kind = "fax"'), "roads.mail: kind must be one of smtp, webhook, apprise", id="no such kind"),
        pytest.param(road('host = "h"'), "roads.mail: kind is missing", id="no kind"),
        pytest.param(road(SMTP, "Mail"), "roads.Mail: a road's name has small letters", id="a name in capitals"),
        pytest.param(road(SMTP, "app"), "the platform's own road", id="the platform's own name"),
        pytest.param(road(SMTP, f"m{'a' * 32}"), "up to 32", id="a name too long"),
        pytest.param(road(SMTP + "hots = 1"), "roads.mail: unknown key 'hots'", id="a misspelt key"),
        pytest.param(road(SMTP + "port = 0"), "roads.mail: port must be 1 to 65535", id="port 0"),
        pytest.param(road(SMTP + 'port = "25"'), "roads.mail: port must be", id="a port in quotes"),
        pytest.param(road(SMTP + "timeout-seconds = 0"), "timeout-seconds must be 1 to 120", id="no time"),
        pytest.param(road(SMTP + 'tls = "maybe"'), "tls must be one of starttls, tls, none", id="no such tls"),
        pytest.param(
            road(SMTP + 'tls = "none"'), '"none" is for a mail server on this machine', id="mail in the clear"
        ),
        pytest.param(
            road(SMTP.replace("mail.example", "::1") + 'tls = "none"\nuser = "u"\npassword = "p"'),
            "user needs TLS",
            id="a password in the clear",
        ),
        pytest.param(road(SMTP + 'user = "u"'), "user and password stand together", id="a user without a password"),
        pytest.param(road(SMTP + 'password = "p"'), "stand together", id="a password without a user"),
        pytest.param(road(SMTP.replace("outrider@", "")), "from must be a mail address", id="no sender"),
        pytest.param(road('kind = "smtp"\nfrom = "a@b"'), "host is missing", id="no host"),
        pytest.param(road(HOOK.replace("https:", "http:")), "url must be https", id="a webhook in the clear"),
        pytest.param(road(HOOK.replace("https:", "file:")), "url must be https", id="a file"),
        pytest.param(road(HOOK.replace("//", "//user:pw@")), "url must be https", id="a password in the URL"),
        pytest.param(road(HOOK.replace("pager.example", "[::")), "url must be https", id="what is no URL"),
        pytest.param(road(HOOK.partition("secret")[0]), "secret is missing", id="a webhook without a secret"),
        pytest.param((HEAD + "roads = 5").encode(), "roads are tables", id="roads that are a number"),
        pytest.param((HEAD + "roads.mail = 5").encode(), "roads.mail is not a table", id="a road that is a number"),
        pytest.param(
            (HEAD + "".join(f'[roads.r{n}]\nkind = "apprise"\n' for n in range(17))).encode(),
            "at most 16",
            id="17 roads",
        ),
        pytest.param(
            (HEAD + 'notice-text = "at the {place}"').encode(),
            "may hold {code}, and no other braces",
            id="a placeholder",
        ),
        pytest.param((HEAD + 'notice-text = "{code"').encode(), "no other braces", id="half a placeholder"),
        pytest.param((HEAD + 'notice-text = ""').encode(), "1 to 120 printable", id="no text"),
        pytest.param((HEAD + f'notice-text = "{"x" * 121}"').encode(), "1 to 120 printable", id="a long text"),
        pytest.param((HEAD + 'notice-text = "a\\nb"').encode(), "1 to 120 printable", id="two lines"),
    ],
)
def test_roads_that_are_refused(text: bytes, says: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        parse(text, FOLDER)
    assert says in str(refused.value)


def test_a_gateway_without_roads() -> None:
    config = parse(HEAD.encode(), FOLDER)
    assert (config.roads, config.contacts) == ((), FOLDER / "contacts.toml")
    assert config.notice_text == "OUTRIDER: see your device. {code}"


# --- contacts ---


def test_contacts() -> None:
    known = contacts.parse(f'[{LENA}]\nmail = "lena@x"\nsms = "1"\n[{RUTH}]\nmail = "ruth@x"'.encode(), ["mail", "sms"])
    lena, ruth = PersonId(bytes.fromhex(LENA)), PersonId(bytes.fromhex(RUTH))
    assert known.reached == ((lena, "mail"), (lena, "sms"), (ruth, "mail"))
    assert known.address(ruth, "mail") == "ruth@x"
    assert known.address(ruth, "sms") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(f'[{LENA}]\nfax = "1"', f"[{LENA}]: there is no road 'fax'", id="no such road"),
        pytest.param('[lena]\nmail = "secret@x"', "[lena] is no person's id", id="a name for an id"),
        pytest.param(f'[{LENA.upper()}]\nmail = "secret@x"', "no person's id", id="digits in capitals"),
        pytest.param(f"{LENA} = 5", "no person's id", id="a person that is a number"),
        pytest.param(f"[{LENA}]\nmail = 5", "must be an address", id="an address that is a number"),
        pytest.param(f'[{LENA}]\nmail = ""', "must be an address", id="no address"),
        pytest.param(f'[{LENA}]\nmail = "secret@x\\nRCPT"', "in one line", id="an address of two lines"),
        pytest.param(f'[{LENA}]\nmail = "secret{"x" * 1000}"', "must be an address", id="an address too long"),
        pytest.param(f'[{LENA}]\nmail = "secret@x', "not TOML", id="not TOML"),
        pytest.param("\udcff", "not TOML", id="not UTF-8"),
    ],
)
def test_contacts_that_are_refused(text: str, says: str) -> None:
    with pytest.raises(RoadRefused) as refused:
        contacts.parse(text.encode(errors="surrogateescape"), ["mail"])
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


def test_no_contacts_file_is_nobody(tmp_path: Path) -> None:
    assert contacts.load(tmp_path / "none", []).reached == ()


def test_an_address_that_its_road_does_not_understand() -> None:
    known = contacts.parse(f'[{LENA}]\nmail = "lena"'.encode(), ["mail"])
    road = SmtpRoad(SmtpSettings("mail", "127.0.0.1", 25, "a@b", SmtpTls.NONE, 2))
    with pytest.raises(RoadRefused, match=rf"contacts: \[{LENA}\]: mail must be a mail address"):
        check_addresses(known, [road])
