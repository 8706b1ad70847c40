"""A log over HTTP: the same claims as from its folder, and no token for a server that the charter does not name."""

import io
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clients.auditor.archive import write_archive
from clients.auditor.exporting import Chosen, Exporting
from clients.auditor.remote import NotReached, RemoteSource, tls_key_hash
from clients.auditor.verify import Asked, Verdict, log_keys, open_checkpoint_of, verify_log
from keys.tlog.errors import NotFound
from tests.clients.auditor.logs import Book, Files, honest


@cache
def log() -> Book:
    return honest()


class Handler(BaseHTTPRequestHandler):
    """Serves `files` under /log/ to who holds the token."""

    files = Files({})
    asked: list[str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        found = self.files.files.get(self.path.removeprefix("/log/"))
        granted = self.headers.get("Authorization") == "Bearer secret"
        data = found if granted and found is not None else b""
        self.send_response(200 if granted and found is not None else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None: ...


class Quiet(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None: ...


@contextmanager
def served(files: Files, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server, and the tokens it was shown."""
    asked: list[str] = []
    server = Quiet(("127.0.0.1", 0), type("Here", (Handler,), {"files": files, "asked": asked}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/log", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, bytes]:
    """A server's context, and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(tz=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, made.public_bytes(Encoding.DER)


def test_the_same_claims_as_from_the_folder() -> None:
    files = log().files()
    asked = Asked(log_keys(log().mission.log.verifier_key.encode()), log().now)
    with served(files) as (url, tokens):
        source = RemoteSource(url, "secret")
        over_http = verify_log(source.fetch, source.paths(), asked)
        source.close()
    assert over_http.verdict is Verdict.CONSISTENT
    assert over_http.claims == verify_log(files.fetch, (), asked).claims
    assert set(tokens) == {"Bearer secret"}


def test_an_archive_made_over_http_is_the_one_made_from_the_folder() -> None:
    files = log().published()
    keys = log_keys(log().mission.log.verifier_key.encode())
    made = []
    with served(files) as (url, _):
        remote = RemoteSource(url, "secret")
        for source in (remote, files):
            exporting = Exporting(source, open_checkpoint_of(source.fetch, keys), Chosen())  # type: ignore[arg-type]
            written = io.BytesIO()
            write_archive(written, exporting.manifest, exporting.parts())
            made.append((written.getvalue(), exporting.absent))
        remote.close()
    assert made[0] == made[1]
    assert made[0][1] == 0


def test_a_pinned_key_under_any_name(certificate: tuple[ssl.SSLContext, bytes]) -> None:
    context, der = certificate
    with served(log().files(), context) as (url, _):
        source = RemoteSource(url, "secret", frozenset({tls_key_hash(der)}))
        assert source.fetch("checkpoint") == log().files().files["checkpoint"]
        source.close()


@pytest.mark.parametrize("pins", [frozenset({bytes(32)}), frozenset[bytes]()], ids=["another pin", "no pin"])
def test_no_token_for_a_server_that_nobody_names(
    certificate: tuple[ssl.SSLContext, bytes], pins: frozenset[bytes]
) -> None:
    with served(log().files(), certificate[0]) as (url, tokens):
        with pytest.raises(OSError):
            RemoteSource(url, "secret", pins).fetch("checkpoint")
        assert tokens == []


def test_nothing_there_and_nothing_to_be_shown() -> None:
    with served(log().files()) as (url, _):
        source = RemoteSource(url, "secret")
        with pytest.raises(NotFound):
            source.fetch("tile/0/999")
        with pytest.raises(NotFound):
            source.fetch("../gateway.toml")
        assert list(source.paths()) == []
        source.close()
        with pytest.raises(NotReached):
            RemoteSource(url, "guess").fetch("checkpoint")


def test_a_token_goes_over_https_only() -> None:
    with pytest.raises(NotReached):
        RemoteSource("http://gateway.example/log", "secret")


def test_a_file_of_an_authority(certificate: tuple[ssl.SSLContext, bytes], tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(x509.load_der_x509_certificate(certificate[1]).public_bytes(Encoding.PEM))
    with served(log().files(), certificate[0]) as (url, tokens):
        with pytest.raises(OSError):  # the name does not fit, whoever has signed it
            RemoteSource(url, "secret", ca=file).fetch("checkpoint")
        assert tokens == []
