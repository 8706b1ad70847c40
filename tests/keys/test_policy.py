"""A charter's text: both ways, and every line that makes it no policy."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.credential import issue_registrar, issue_root
from keys.envelope import Marking
from keys.errors import CharterRefused
from keys.identity import DeviceId, PersonId, SigningKey
from keys.policy import DEFAULT_CLASSES, POLICY_LIMIT, Organisation, Policy, Verb, parse, render
from keys.tlog.note import VerifierKey
from tests.keys.goldens import check_golden
from tests.keys.mission import DAY, LIFE, NOW, Mission

MISSION = Mission()
POLICY = MISSION.policy
TEXT = render(POLICY).decode()
HOME, PARTNER = POLICY.organisations
AUTHORITY = MISSION.authorities[0].verifier_key


def test_both_ways() -> None:
    assert parse(TEXT.encode()) == POLICY
    assert render(parse(TEXT.encode())).decode() == TEXT
    check_golden("keys.json", "charter text", TEXT.encode())


def test_comments_and_layout_are_free() -> None:
    loose = TEXT.replace(" = ", "=", 3).replace("\n[log]", "\n# ours\n\n\n[log]  # origin")
    assert parse(loose.encode()) == POLICY


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20).map(
    lambda text: normalize("NFC", text)
)


@given(
    mission=TEXTS,
    auditors=st.lists(TEXTS, unique=True, max_size=4),
    version=st.integers(1, 2**31),
    hours=st.integers(1, 168),
)
def test_every_policy_comes_back(mission: str, auditors: list[str], version: int, hours: int) -> None:
    made = replace(
        POLICY, mission=mission, auditors=tuple(auditors), version=version, crl_hours=hours, crl_message_hours=hours
    )
    assert parse(render(made)) == made


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(CharterRefused):
        parse(data)


def test_cut_at_every_line() -> None:
    lines = TEXT.splitlines(keepends=True)
    for n in range(len(lines)):
        cut = "".join(lines[:n]).encode()
        if lines[n].startswith("[[role]]") or n > TEXT[: TEXT.index("[[role]]")].count("\n") + 2:
            break  # from here on a role less may be a policy
        with pytest.raises(CharterRefused):
            parse(cut)


def line(key: str) -> str:
    """The first line of the text that sets this key."""
    return next(x for x in TEXT.splitlines() if x.startswith(f"{key} = "))


def base64(data: bytes) -> str:
    return f'"{b64encode(data).decode()}"'


TEXT_CASES = [
    pytest.param(
        lambda t: t.replace(line("mission"), line("mission") + "\nsurprise = 1"),
        "unknown surprise",
        id="an unknown key",
    ),
    pytest.param(lambda t: t + "surprise = 1\n", "unknown surprise", id="an unknown key in a role"),
    pytest.param(
        lambda t: t.replace("[log]\n", "[log]\nsurprise = 1\n"), "unknown surprise", id="an unknown key of the log"
    ),
    pytest.param(lambda t: t.replace("[rules]\n", "[rules]\nx = 1\n"), "unknown x", id="an unknown rule"),
    pytest.param(lambda t: t.replace("[alerts]\n", "[alerts]\nx = 1\n"), "unknown x", id="an unknown rule of alerts"),
    pytest.param(lambda t: t.replace("[alerts]", "[alert]"), "not a table", id="no rules of alerts"),
    pytest.param(
        lambda t: t.replace('distinct = "person"', 'distinct = "device"'), "distinct must be", id="distinct by device"
    ),
    pytest.param(
        lambda t: t.replace("deadline-seconds = 300", "deadline-seconds = 29"), "must be 30", id="half a minute less"
    ),
    pytest.param(lambda t: t.replace("review-hours = 24", "review-hours = 0"), "must be 1", id="a review at once"),
    pytest.param(lambda t: t.replace("drills = false", "drills = 0", 1), "drills must be bool", id="0 for no drills"),
    pytest.param(
        lambda t: t.replace('agreement = "HP-3"', 'agreement = "HP\\n3"'),
        "agreement must be",
        id="an agreement of lines",
    ),
    pytest.param(
        lambda t: t.replace("[gateway]\n", "[gateway]\nx = 1\n"), "unknown x", id="an unknown key of the gateway"
    ),
    pytest.param(
        lambda t: t.replace("[authority]\n", "[authority]\nx = 1\n"), "unknown x", id="an unknown authority key"
    ),
    pytest.param(
        lambda t: t.replace("home = true", "home = true\nx = 1"), "unknown x", id="an unknown key of an organisation"
    ),
    pytest.param(
        lambda t: t.replace("grace-seconds = 30", "grace-seconds = 30\nx = 1", 1),
        "unknown x",
        id="an unknown key of a class",
    ),
    pytest.param(lambda t: t + "\n[surprise]\n", "unknown surprise", id="an unknown table"),
    pytest.param(lambda t: t.replace(line("mission"), line("mission") * 2), "not TOML", id="two keys on a line"),
    pytest.param(
        lambda t: t.replace(line("mission"), line("mission") + "\n" + line("mission")), "not TOML", id="a key twice"
    ),
    pytest.param(lambda t: t.replace("[rules]", "[rule]"), "not a table", id="a table missing"),
    pytest.param(lambda t: t.replace("[[class]]", "[class]", 1), "not TOML", id="one table and a list of them"),
    pytest.param(
        lambda t: t.split("[[organisation]]")[0] + "organisation = 1\n",
        "unknown|tables",
        id="organisations that are none",
    ),
    pytest.param(
        lambda t: 'class = ["x"]\n' + t.split("[[class]]")[0], "class 1 is not a table", id="a class that is a text"
    ),
    pytest.param(
        lambda t: "class = 5\n" + t.split("[[class]]")[0], "class must be tables", id="classes that are a number"
    ),
    pytest.param(lambda t: t.split("[[class]]")[0], "at least one class", id="no classes"),
    pytest.param(lambda t: t.split("[[role]]")[0], "at least one role", id="no roles"),
    pytest.param(lambda t: t.replace("version = 1", "version = true"), "version must be int", id="true for 1"),
    pytest.param(lambda t: t.replace("version = 1", "version = 1.0"), "version must be int", id="1.0 for 1"),
    pytest.param(lambda t: t.replace("version = 1", 'version = "1"'), "version must be int", id="a text for a number"),
    pytest.param(lambda t: t.replace("version = 1", "version = 0"), "version must be 1", id="version 0"),
    pytest.param(
        lambda t: t.replace("version = 1", f"version = {2**31 + 1}"), "version must be 1", id="a version over 2^31"
    ),
    pytest.param(lambda t: t.replace("version = 1", "version = " + "9" * 5_000), "not TOML", id="a number without end"),
    pytest.param(lambda t: t.replace("version = 1\n", ""), "version must be int", id="no version"),
    pytest.param(lambda t: t.replace("quorum = 2", "quorum = 0"), "quorum must be 1", id="a quorum of nobody"),
    pytest.param(
        lambda t: t.replace("quorum = 2", "quorum = 4"), "quorum is larger", id="a quorum that can't be reached"
    ),
    pytest.param(
        lambda t: t.replace("break-glass = true", "break-glass = 1"), "break-glass must be bool", id="1 for true"
    ),
    pytest.param(
        lambda t: t.replace(line("not-after"), "not-after = 2027-01-01T00:00:00"),
        "UTC offset",
        id="a time without offset",
    ),
    pytest.param(
        lambda t: t.replace(line("not-after"), "not-after = 2027-01-01"), "must be datetime", id="a date alone"
    ),
    pytest.param(
        lambda t: t.replace(line("not-after"), "not-after = 2027-01-01T00:00:00.5Z"),
        "whole seconds",
        id="half a second",
    ),
    pytest.param(
        lambda t: t.replace(line("not-after"), "not-after = 1969-12-31T00:00:00Z"), "from 1970", id="a time before 1970"
    ),
    pytest.param(
        lambda t: t.replace(line("not-after"), "not-after = 0001-01-01T00:00:00+14:00"),
        "from 1970",
        id="the beginning of time",
    ),
    pytest.param(lambda t: t.replace(line("mission"), 'mission = ""'), "1 to 100", id="no name"),
    pytest.param(
        lambda t: t.replace(line("mission"), f'mission = "{"x" * 101}"'), "1 to 100", id="a name of 101 letters"
    ),
    pytest.param(lambda t: t.replace(line("mission"), 'mission = "a\\nb"'), "printable", id="a name of two lines"),
    pytest.param(
        lambda t: t.replace(line("mission"), 'mission = "a\\u202eb"'), "printable", id="a name that turns the direction"
    ),
    pytest.param(
        lambda t: t.replace(line("mission"), 'mission = "a\\u200bb"'), "printable", id="a name with nothing in it"
    ),
    pytest.param(
        lambda t: t.replace(line("mission"), 'mission = "de\\u0301tail"'), "printable", id="a name not in NFC"
    ),
    pytest.param(
        lambda t: t.replace('auditors = ["gita"]', 'auditors = ["gita", "gita"]'), "different", id="an auditor twice"
    ),
    pytest.param(
        lambda t: t.replace('auditors = ["gita"]', 'auditors = ["gi\\tta"]'), "printable", id="an auditor with a tab"
    ),
    pytest.param(
        lambda t: t.replace('auditors = ["gita"]', "auditors = [1]"), "different", id="an auditor that is a number"
    ),
    pytest.param(
        lambda t: t.replace('auditors = ["gita"]', 'auditors = "gita"'), "must be list", id="auditors that are a text"
    ),
    pytest.param(lambda t: t.replace(line("tls-keys"), "tls-keys = []"), "32 bytes", id="no TLS key"),
    pytest.param(
        lambda t: t.replace(line("tls-keys"), f"tls-keys = [{base64(bytes(31))}]"),
        "32 bytes",
        id="a TLS key of 31 bytes",
    ),
    pytest.param(lambda t: t.replace(line("tls-keys"), 'tls-keys = ["****"]'), "not base64", id="no base64"),
    pytest.param(
        lambda t: t.replace(line("tls-keys"), 'tls-keys = ["é"]'), "not base64", id="base64 that is not ASCII"
    ),
    pytest.param(
        lambda t: t.replace(base64(bytes(32)), base64(bytes(32)).replace("A=", "B=")),
        "canonical base64",
        id="base64 with bits to spare",
    ),
    pytest.param(lambda t: t.replace('url = "https://', 'url = "http://'), "https", id="a url without TLS"),
    pytest.param(
        lambda t: t.replace("revocation-message-hours = 72", "revocation-message-hours = 23"),
        "longer limit",
        id="the longer limit shorter",
    ),
    pytest.param(
        lambda t: t.replace("revocation-hours = 24", "revocation-hours = 0"),
        "1 to 168",
        id="lists that are stale at once",
    ),
    pytest.param(
        lambda t: t.replace('receipts = "shown"', 'receipts = "never"', 1), "delivered or shown", id="no such receipts"
    ),
    pytest.param(
        lambda t: t.replace('ceiling = "TLP:RED"', 'ceiling = "TLP:WHITE"', 1),
        "no TLP 2.0 label",
        id="a label of TLP 1",
    ),
    pytest.param(
        lambda t: t.replace('verbs = ["send"]', 'verbs = ["fly"]', 1), "'fly' is not a valid", id="no such verb"
    ),
    pytest.param(
        lambda t: t.replace('verbs = ["send"]', 'verbs = ["send", "send"]', 1), "different", id="a verb twice"
    ),
    pytest.param(lambda t: t.replace('name = "agent"', 'name = "Agent"'), "can hold a role", id="a role in upper case"),
    pytest.param(
        lambda t: t.replace('name = "agent"', 'name = "agent,officer"'), "can hold a role", id="two roles in one name"
    ),
    pytest.param(lambda t: t.replace('name = "leader"', 'name = "agent"'), "name of its own", id="a role twice"),
    pytest.param(lambda t: t.replace('name = "liaison"', 'name = "alert"'), "name of its own", id="a class twice"),
    pytest.param(lambda t: t.replace("suite = 1\n", "suite = 2\n"), "no suite 2", id="a suite that signs with P-256"),
    pytest.param(lambda t: t.replace("suite = 1\n", "suite = 0\n"), "suite must be", id="suite 0"),
    pytest.param(lambda t: t + "# " + "x" * POLICY_LIMIT, "at most", id="longer than a charter may be"),
    pytest.param(lambda t: t + "x = " + "[" * 5_000 + "]" * 5_000, "not TOML|unknown|must", id="nested too deep"),
]


@pytest.mark.parametrize(("change", "why"), TEXT_CASES)
def test_no_policy(change: Callable[[str], str], why: str) -> None:
    changed = change(TEXT)
    assert changed != TEXT
    with pytest.raises(CharterRefused, match=why):
        parse(changed.encode())


@pytest.mark.parametrize("data", [b"\xff", b'mission = "\xc3"', b"\xef\xbb\xbf"])
def test_no_text(data: bytes) -> None:
    with pytest.raises(CharterRefused, match=r"not TOML|not a table"):
        parse(data)


def renamed(key: VerifierKey, name: str) -> str:
    return replace(key, name=name).encode()


def organisations(*changed: Organisation) -> dict[str, Any]:
    return {"organisations": changed}


KEYS = POLICY.authority_keys
TWIN = issue_registrar(
    HOME.root,
    MISSION.home.root,
    MISSION.home.registrars[0].key.public,
    PersonId(b"t" * 16),
    DeviceId(b"u" * 16),
    LIFE,
    MISSION.random,
)
SAME_ID = issue_registrar(
    HOME.root,
    MISSION.home.root,
    SigningKey(b"v" * 32).public,
    PersonId(b"t" * 16),
    MISSION.home.registrars[0].device,
    LIFE,
    MISSION.random,
)
SAME_PERSON = issue_registrar(
    HOME.root,
    MISSION.home.root,
    SigningKey(b"w" * 32).public,
    MISSION.home.registrars[0].person,
    DeviceId(b"u" * 16),
    LIFE,
    MISSION.random,
)
FOREIGN_ROOT = issue_root(SigningKey(b"x" * 32), LIFE, MISSION.random)
FIRST, SECOND = HOME.registrars

POLICY_CASES = [
    pytest.param(
        {"authority_keys": (KEYS[0], renamed(AUTHORITY, "twin"))},
        "key of their own",
        id="one authority key under two names",
    ),
    pytest.param(
        {"authority_keys": (KEYS[0], renamed(MISSION.authorities[1].verifier_key, AUTHORITY.name))},
        "name of its own",
        id="two authority keys of one name",
    ),
    pytest.param(
        {"authority_keys": (*KEYS, renamed(MISSION.log.verifier_key, "log"))},
        "key of their own",
        id="the log's key as an authority",
    ),
    pytest.param({"gateway_key": AUTHORITY.public_key}, "key of their own", id="an authority key at the gateway"),
    pytest.param(
        {"gateway_key": MISSION.log.verifier_key.public_key}, "key of their own", id="the log's key as the gateway's"
    ),
    pytest.param({"gateway_key": bytes(31)}, "32 bytes", id="a gateway key of 31 bytes"),
    pytest.param({"authority_keys": (*KEYS, "rubbish")}, "verifier keys", id="an authority key that is none"),
    pytest.param(
        {"authority_keys": (*KEYS, VerifierKey("ml", 6, bytes(32)).encode())},
        "type Ed25519",
        id="an authority key of another type",
    ),
    pytest.param(
        {"authority_keys": (*KEYS, KEYS[0].replace("authority-0", "authority-9"))},
        "key's id",
        id="an authority key with another's id",
    ),
    pytest.param({"log_key": "rubbish"}, "verifier keys", id="a log key that is none"),
    pytest.param({"log_origin": "log.test/other"}, "named as its origin", id="another origin than the log key's"),
    pytest.param(organisations(HOME), None, id="no partner: a sound policy"),
    pytest.param(organisations(PARTNER), "exactly one", id="no home"),
    pytest.param(organisations(HOME, replace(PARTNER, home=True)), "exactly one", id="two homes"),
    pytest.param(
        organisations(HOME, replace(PARTNER, name=HOME.name)), "name of its own", id="two organisations of one name"
    ),
    pytest.param(organisations(HOME, replace(PARTNER, until=0)), "needs an end", id="an agreement without an end"),
    pytest.param(
        organisations(HOME, replace(PARTNER, roles=frozenset({"spy"}))),
        "does not define",
        id="a grant of a role that nobody defined",
    ),
    pytest.param(organisations(replace(HOME, registrars=(FIRST,))), "two registrars", id="one registrar"),
    pytest.param(organisations(replace(HOME, registrars=())), "two registrars", id="no registrar"),
    pytest.param(
        organisations(replace(HOME, registrars=(FIRST, SAME_PERSON))), "two people", id="two registrars, one person"
    ),
    pytest.param(
        organisations(replace(HOME, registrars=(FIRST, TWIN))), "of its own", id="two registrars with one key"
    ),
    pytest.param(
        organisations(replace(HOME, registrars=(FIRST, SAME_ID))), "of its own", id="two registrars with one id"
    ),
    pytest.param(
        organisations(HOME, replace(PARTNER, root=HOME.root, registrars=HOME.registrars)),
        "of its own",
        id="a partner under our root",
    ),
    pytest.param(
        organisations(HOME, replace(PARTNER, registrars=HOME.registrars)),
        "not issued by",
        id="our registrars under a partner's root",
    ),
    pytest.param(organisations(replace(HOME, root=FOREIGN_ROOT)), "not issued by", id="registrars of another root"),
    pytest.param(organisations(replace(HOME, root=FIRST)), "Meridian", id="a registrar as root"),
    pytest.param(
        organisations(replace(HOME, registrars=(FIRST, MISSION.device("agent").certified.der))),
        "not a registrar",
        id="a device as registrar",
    ),
    pytest.param(
        organisations(replace(HOME, registrars=(FIRST, SECOND[:-1] + bytes([SECOND[-1] ^ 1])))),
        "not issued by",
        id="a registrar with a forged signature",
    ),
]


@pytest.mark.parametrize(("changes", "why"), POLICY_CASES)
def test_parts_that_contradict_each_other(changes: dict[str, Any], why: str | None) -> None:
    made: Policy = replace(POLICY, **changes)
    if why is None:
        assert parse(render(made)) == made
    else:
        with pytest.raises(CharterRefused, match=why):
            parse(render(made))


def test_looked_up_by_name() -> None:
    assert POLICY.home is POLICY.organisation("Meridian")
    assert POLICY.organisation("Hostpol").until == NOW + 90 * DAY
    assert POLICY.channel_class("narrow") == DEFAULT_CLASSES[3]
    with pytest.raises(CharterRefused, match="no organisation 'Nobody'"):
        POLICY.organisation("Nobody")
    with pytest.raises(CharterRefused, match="no channel class 'x'"):
        POLICY.channel_class("x")


@pytest.mark.parametrize(
    ("roles", "verb", "may"),
    [
        pytest.param({"agent"}, Verb.SEND, True, id="an agent sends"),
        pytest.param({"agent"}, Verb.ALERT, False, id="an agent raises no alert"),
        pytest.param({"agent", "officer"}, Verb.ALERT, True, id="one of two roles is enough"),
        pytest.param({"officer"}, Verb.CHARTER, False, id="no officer writes the charter"),
        pytest.param(set(), Verb.SEND, False, id="no role"),
        pytest.param({"spy"}, Verb.SEND, False, id="a role that nobody defined"),
    ],
)
def test_permits(roles: set[str], verb: Verb, may: bool) -> None:
    assert POLICY.permits(roles, verb) is may


END = PARTNER.until
MODEST = replace(POLICY, organisations=(replace(HOME, ceiling=Marking.AMBER_STRICT), PARTNER))


@pytest.mark.parametrize(
    ("policy", "organisation", "marking", "now", "may"),
    [
        pytest.param(POLICY, "Meridian", Marking.RED, NOW, True, id="home sees red"),
        pytest.param(MODEST, "Meridian", Marking.RED, NOW, False, id="home above its own ceiling"),
        pytest.param(POLICY, "Meridian", Marking.RED, END + 1, True, id="home has no end"),
        pytest.param(POLICY, "Hostpol", Marking.AMBER, END, True, id="a partner, at its ceiling, on its last day"),
        pytest.param(POLICY, "Hostpol", Marking.AMBER, END + 1, False, id="a partner past its end"),
        pytest.param(POLICY, "Hostpol", Marking.CLEAR, END + 1, False, id="not even clear past its end"),
        pytest.param(POLICY, "Hostpol", Marking.AMBER_STRICT, NOW, False, id="a partner above its ceiling"),
        pytest.param(
            replace(POLICY, organisations=(HOME, replace(PARTNER, ceiling=Marking.RED))),
            "Hostpol",
            Marking.AMBER_STRICT,
            NOW,
            False,
            id="strict stays in the house whatever the ceiling",
        ),
        pytest.param(
            replace(POLICY, organisations=(HOME, replace(PARTNER, ceiling=Marking.GREEN))),
            "Hostpol",
            Marking.AMBER,
            NOW,
            False,
            id="a partner with a lower ceiling",
        ),
    ],
)
def test_may_see(policy: Policy, organisation: str, marking: Marking, now: int, may: bool) -> None:
    assert policy.may_see(organisation, marking, now) is may


def test_nobody_sees_for_an_organisation_unknown() -> None:
    with pytest.raises(CharterRefused):
        POLICY.may_see("Nobody", Marking.CLEAR, NOW)
    with pytest.raises(CharterRefused):
        POLICY.plays("Nobody", NOW)


JOINED = replace(POLICY, organisations=(HOME, replace(PARTNER, drills=True)))


@pytest.mark.parametrize(
    ("policy", "organisation", "now", "plays"),
    [
        pytest.param(POLICY, "Meridian", END + 1, True, id="home always"),
        pytest.param(POLICY, "Hostpol", NOW, False, id="a partner that has not joined"),
        pytest.param(JOINED, "Hostpol", END, True, id="one that has"),
        pytest.param(JOINED, "Hostpol", END + 1, False, id="not past its agreement"),
    ],
)
def test_play_stops_at_the_fence(policy: Policy, organisation: str, now: int, plays: bool) -> None:
    assert policy.plays(organisation, now) is plays


def test_what_roles_may_do_together() -> None:
    assert POLICY.verbs(["agent", "spy"]) == {Verb.SEND}
    assert POLICY.verbs(["agent", "leader"]) == {Verb.SEND, Verb.CREATE_CHANNEL, Verb.ADD, Verb.REMOVE}
    assert POLICY.verbs([]) == frozenset()


def test_quotes_do_not_end_a_text() -> None:
    made = replace(POLICY, mission='a " b \\ c', auditors=('x"]\nversion = 2', "y"))
    with pytest.raises(CharterRefused):
        parse(render(made))
    assert parse(render(replace(made, auditors=()))).mission == made.mission
    assert tomllib.loads(TEXT)["version"] == 1
