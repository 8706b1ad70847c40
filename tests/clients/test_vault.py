"""The vault: durable, encrypted, one process at a time."""

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from clients.core.ledger import Change
from clients.vault import (
    CHEAP,
    Cost,
    NewerVault,
    NoVault,
    Vault,
    VaultBusy,
    VaultDamaged,
    VaultExists,
    WrongPassphrase,
)

WORDS = "lusab-babad gutih tugad"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "profile"


def test_what_was_written_is_there_after_reopening(folder: Path) -> None:
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.apply([Change("a", b"\x01", b"one"), Change("a", b"\x02", b"two"), Change("a", b"\x01", None)])
        vault.set_secret("device:key", b"seed")
    with Vault.open(folder, WORDS) as vault:
        assert vault.get("a", b"\x01") is None
        assert vault.get("a", b"\x02") == b"two"
        assert vault.secret("device:key") == b"seed"
        assert vault.secrets("device:") == ["device:key"]
        vault.set_secret("device:key", None)
        assert vault.secret("device:key") is None


def test_a_scan_is_ordered_and_kept_to_its_prefix(folder: Path) -> None:
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.apply([Change("s", key, key) for key in (b"\xffb", b"\xffa", b"\xfe", b"\xff\xff", b"")])
        vault.put("t", b"\xffa", b"")
        assert [k for k, _ in vault.scan("s", b"", b"")] == [b"\xfe", b"\xffa", b"\xffb", b"\xff\xff"]
        assert [k for k, _ in vault.scan("s", b"\xff", b"")] == [b"\xffa", b"\xffb", b"\xff\xff"]
        assert [k for k, _ in vault.scan("s", b"\xff", b"\xffa")] == [b"\xffb", b"\xff\xff"]


def test_an_error_in_a_transaction_leaves_nothing(folder: Path) -> None:
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:

        def fail_late() -> None:
            with vault.transaction():
                vault.put("a", b"k", b"v")
                vault.set_secret("n", b"s")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_late()
        assert vault.get("a", b"k") is None
        assert vault.secret("n") is None


def test_nothing_readable_lies_in_the_folder(folder: Path) -> None:
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.put("a", b"key", b"the needle in the hay")
        for path in folder.iterdir():
            assert b"needle" not in path.read_bytes(), path.name
            assert not path.read_bytes().startswith(b"SQLite format"), path.name


def test_durability_settings(folder: Path) -> None:
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        pragmas = {p: vault._connection.pragma(p) for p in ("journal_mode", "synchronous", "secure_delete")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 3, "secure_delete": 1}


@pytest.mark.parametrize(
    "passphrase",
    [pytest.param(WORDS + " ", id="one space more"), pytest.param("", id="empty"), pytest.param("other", id="other")],
)
def test_another_passphrase_is_refused(folder: Path, passphrase: str) -> None:
    Vault.create(folder, WORDS, cost=CHEAP).close()
    with pytest.raises(WrongPassphrase):
        Vault.open(folder, passphrase)


def test_composed_and_decomposed_letters_are_one_passphrase(folder: Path) -> None:
    Vault.create(folder, "caf\u00e9", cost=CHEAP).close()
    Vault.open(folder, "cafe\u0301").close()


def test_no_vault_and_a_second_one(folder: Path) -> None:
    with pytest.raises(NoVault):
        Vault.open(folder, WORDS)
    assert not folder.exists()
    Vault.create(folder, WORDS, cost=CHEAP).close()
    with pytest.raises(VaultExists):
        Vault.create(folder, WORDS, cost=CHEAP)


def test_a_creation_that_died_early_is_begun_again(folder: Path) -> None:
    folder.mkdir()
    (folder / "vault.key").write_bytes(b"left over")
    Vault.create(folder, WORDS, cost=CHEAP).close()
    Vault.open(folder, WORDS).close()


def test_a_newer_schema_is_refused(folder: Path) -> None:
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault._connection.pragma("user_version", 999)
    with pytest.raises(NewerVault, match="999"):
        Vault.open(folder, WORDS)


@pytest.mark.parametrize("name", ["vault.key", "vault.db"])
def test_damage_is_not_called_a_wrong_passphrase(folder: Path, name: str) -> None:
    Vault.create(folder, WORDS, cost=CHEAP).close()
    data = bytearray((folder / name).read_bytes())
    data[:3] = b"xyz"
    data[20:40] = bytes(20)
    (folder / name).write_bytes(data)
    with pytest.raises(VaultDamaged):
        Vault.open(folder, WORDS)


def test_a_second_process_is_refused_and_let_in_after_the_first(folder: Path) -> None:
    vault = Vault.create(folder, WORDS, cost=CHEAP)
    program = (
        "import sys\nfrom pathlib import Path\nfrom clients.vault import *\n"
        "try: Vault.open(Path(sys.argv[1]), sys.argv[2], wait=float(sys.argv[3])).close()\n"
        "except VaultBusy: sys.exit(9)"
    )

    def other(wait: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program, str(folder), WORDS, wait])

    assert other("0").wait() == 9
    waiting = other("20")
    vault.close()
    assert waiting.wait() == 0
    with Vault.open(folder, WORDS), pytest.raises(VaultBusy):
        Vault.open(folder, WORDS, wait=0)


def test_the_parameters_are_bounded(folder: Path) -> None:
    assert Cost() == Cost(65536, 2, 1)
    Vault.create(folder, WORDS, cost=CHEAP).close()
    with pytest.raises(apsw.NotADBError):
        apsw.Connection(str(folder / "vault.db")).execute("SELECT * FROM item").fetchall()
