"""TLS of the gateway's own: version 1.3 only, a self-signed certificate, and the hash of its key that the charter names.

Clients trust no authority and no name here: they compare SHA-256 of the SubjectPublicKeyInfo with their charter's. So the
certificate may be renewed at any time with the same key, and the key is changed by a charter that names both. P-256, not
Ed25519: browsers and several TLS libraries of auditors' tools take no Ed25519 server certificate.
"""

import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE: Final = timedelta(days=3_650)


def make_certificate(host: str, now: int) -> tuple[bytes, bytes]:
    """A new key and its certificate, both PEM: (certificate, key). `now` in ms."""
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.fromtimestamp(now // 1000, tz=UTC) - timedelta(hours=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), private


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def key_hash(certificate: bytes) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a certificate (PEM); raises ValueError where it is none."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What the gateway listens with; raises OSError and ssl.SSLError where the files are not a key and its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = (
        0  # a session is proved by the device's key each time; a ticket would only link its connections
    )
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context
