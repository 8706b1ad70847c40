"""RFC 3161 with an authority of our own: `openssl ts` stamps, and what is checked here is each thing that it must have said."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from clients.auditor.stamp import Stamped, StampRefused, check, check_authority, imprint, query
from clients.main import run
from keys.tlog.checkpoint import TreeHead
from tests.clients.auditor.logs import honest
from tests.keys.tlog.logs import flip

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

HEAD = TreeHead("log.test/meridian", 7, b"r" * 32)
OTHER = TreeHead("log.test/meridian", 8, b"r" * 32)

CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[ca]
basicConstraints = critical,CA:true
[tsa]
basicConstraints = critical,CA:false
extendedKeyUsage = {usage}
[tsa_config]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
clock_precision_digits = 3
accuracy = secs:1
"""


class Authority:
    """A root and a time-stamp authority under it, in a folder."""

    def __init__(self, folder: Path, usage: str = "critical,timeStamping", ess: str = "sha256") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "serial").write_text("0102030405060708\n")
        (folder / "ca.cnf").write_text(CONFIG.format(name="Root", usage=usage, ess=ess))
        (folder / "tsa.cnf").write_text(CONFIG.format(name="Stamps", usage=usage, ess=ess))
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        days = ("-days", "30", "-nodes", "-batch")
        self._openssl(
            "req", "-x509", "-config", "ca.cnf", "-extensions", "ca", *key, "-keyout", "ca.key", "-out", "ca.pem", *days
        )
        self._openssl("req", "-config", "tsa.cnf", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-nodes", "-batch")
        issue = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "tsa.cnf", "-extensions", "tsa")
        self._openssl("x509", "-req", "-in", "tsa.csr", *issue, "-days", "30", "-out", "tsa.pem")
        self.roots = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())

    def stamp(self, request: bytes) -> bytes:
        (self.folder / "now.tsq").write_bytes(request)
        signer = ("-signer", "tsa.pem", "-inkey", "tsa.key", "-section", "tsa_config")
        self._openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "now.tsq", *signer, "-out", "now.tsr")
        return (self.folder / "now.tsr").read_bytes()

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def reply(authority: Authority) -> bytes:
    return authority.stamp(query(HEAD))


def test_a_checkpoint_was_there_at_that_time(authority: Authority, reply: bytes) -> None:
    stamped = check(reply, HEAD, authority.roots)
    assert isinstance(stamped, Stamped)
    assert (stamped.authority, stamped.serial) == ("CN=Stamps", 0x0102030405060709)


def test_openssl_reads_our_request(authority: Authority) -> None:
    (authority.folder / "q").write_bytes(query(HEAD))
    said = subprocess.run(
        ["openssl", "ts", "-query", "-in", authority.folder / "q", "-text"], check=True, capture_output=True
    )
    assert b"sha256" in said.stdout
    assert imprint(HEAD)[:4].hex(" ").encode() in said.stdout


def test_one_that_is_named_by_sha_1(tmp_path: Path) -> None:
    other = Authority(tmp_path / "tsa", ess="sha1")
    assert check(other.stamp(query(HEAD)), HEAD, other.roots).authority == "CN=Stamps"


def test_one_with_an_rsa_key() -> None:
    """As most authorities have; made once, since such a key takes long to make."""
    kept = json.loads((Path(__file__).parent / "stamp_rsa.json").read_text())
    roots = x509.load_pem_x509_certificates(kept["root"].encode())
    reply = b64decode(kept["reply"])
    assert check(reply, HEAD, roots).time.isoformat() == kept["time"]
    with pytest.raises(StampRefused):
        check(flip(reply, len(reply) - 9), HEAD, roots)


def test_what_is_no_stamp_of_this(authority: Authority, reply: bytes, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    refused = {
        "another checkpoint": (reply, OTHER, authority.roots),
        "another root": (reply, HEAD, stranger.roots),
        "no root": (reply, HEAD, []),
        "no reply": (b"", HEAD, authority.roots),
        "refused by the authority": (authority.stamp(b"0\x03\x02\x01\x01"), HEAD, authority.roots),
        "too long": (reply + bytes(70_000), HEAD, authority.roots),
    }
    refused["without its certificate"] = (authority.stamp(_uncertified()), HEAD, authority.roots)
    for what, asked in refused.items():
        with pytest.raises(StampRefused):
            raise AssertionError(what, check(*asked))


def _uncertified() -> bytes:
    """The request without its wish for the certificate."""
    whole = query(HEAD)
    return bytes([whole[0], whole[1] - 3]) + whole[2:-3]


@pytest.mark.parametrize(
    ("usage", "days", "root"),
    [
        pytest.param("timeStamping", 0, True, id="usage not critical"),
        pytest.param("critical,timeStamping,serverAuth", 0, True, id="for other things too"),
        pytest.param("critical,serverAuth", 0, True, id="for something else"),
        pytest.param("critical,timeStamping", 60, True, id="after its end"),
        pytest.param("critical,timeStamping", -60, True, id="before its beginning"),
        pytest.param("critical,timeStamping", 0, False, id="under no root"),
    ],
)
def test_who_may_not_stamp(usage: str, days: int, root: bool, tmp_path: Path) -> None:
    other = Authority(tmp_path / "tsa", usage=usage)
    (certificate,) = x509.load_pem_x509_certificates((other.folder / "tsa.pem").read_bytes())
    time = certificate.not_valid_before_utc + timedelta(days=days, minutes=1)
    with pytest.raises((StampRefused, ValueError)):
        check_authority(certificate, [certificate], other.roots if root else [], time)


def test_every_byte_of_what_is_signed_counts(authority: Authority, reply: bytes) -> None:
    whole = check(reply, HEAD, authority.roots)
    changed = 0
    for place in range(0, len(reply), 7):
        try:
            found = check(flip(reply, place), HEAD, authority.roots)
        except StampRefused:
            changed += 1
            continue
        assert found == whole  # in what is not signed: the status text, the policy of the outer layers
    assert changed > len(reply) // 7 * 0.9


def test_every_beginning_is_refused(authority: Authority, reply: bytes) -> None:
    for length in range(0, len(reply), 11):
        with pytest.raises(StampRefused):
            check(reply[:length], HEAD, authority.roots)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(StampRefused):
        check(data, HEAD, _roots())


@cache
def _roots() -> list[x509.Certificate]:
    return []


def test_by_the_verb(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "profile"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile").mkdir()
    book = honest()
    book.files().write(tmp_path / "log")
    (tmp_path / "charter").write_bytes(book.charter.note)
    assert run(["audit", "stamp", "log", "--charter", "charter", "--query", "now.tsq"]) == 0
    (tmp_path / "now.tsr").write_bytes(authority.stamp((tmp_path / "now.tsq").read_bytes()))
    (tmp_path / "root.pem").write_bytes((authority.folder / "ca.pem").read_bytes())
    line = "audit stamp log --charter charter --reply now.tsr --root root.pem"
    assert run(line.split()) == 0
    assert "CN=Stamps" in capsys.readouterr().out
    book.filler()
    book.files().write(tmp_path / "log")
    assert run(line.split()) == 1
    assert run(["audit", "stamp", "log", "--charter", "charter"]) == 2
