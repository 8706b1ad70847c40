"""The duress passphrase: a decoy that looks like a device, and a warning that only an officer's device can read."""

from __future__ import annotations

import os
import sys
import time
from importlib.resources import files
from pathlib import Path
from types import FrameType

import click
import pytest
from argon2.low_level import hash_secret_raw
from msgspec.structs import replace

from clients import slots
from clients import vault as vaults
from clients.agent.duress import check_apart
from clients.core import decoy, records, unlocks
from clients.core.commits import Work
from clients.core.ledger import Draft
from clients.core.records import AlarmKind
from clients.station import Station
from clients.unlocking import Decoy, clear, furnish, opened
from clients.vault import CHEAP, Vault, VaultDamaged, VaultFull, WrongPassphrase
from gateway import wire
from keys.envelope import Claimed, Envelope, Kind, Marking, read, seal
from keys.errors import Malformed
from keys.identity import SigningKey
from keys.unlock import seal_unlock
from tests.clients.test_station import WORDS, Town, town

__all__ = ["town"]

DURESS = "correct horse cattery stable"
PLAIN = files("clients.agent").joinpath("decoy.toml").read_text()
ROOMS = decoy.read_rooms(PLAIN)
SECRETS = ("east gate", "the convoy leaves at six", "Chen", "CHEN")


def frames(tap: list[tuple[str, bytes]], first: int = 3) -> list[tuple[str, type, int]]:
    """Direction, kind and size of the first frames of each direction."""
    read = {"sent": wire.read_from_device, "received": wire.read_from_gateway}
    found = []
    for way, reader in read.items():
        found += [(way, type(reader(data)), len(data)) for said, data in tap if said == way][:first]
    return found


async def people(town: Town) -> tuple[Station, Station, bytes]:
    """An officer and an agent in a channel in which something was said."""
    chen, ana = await town.enrol("officer", "Chen"), await town.enrol("agent", "Ana")
    for station in (ana, chen):
        assert (await station.sync(10)).idle
    channel = chen.create_channel("narrow", Marking.AMBER, SECRETS[0])
    chen.add(channel, [ana.device])
    assert (await chen.sync(10)).idle
    chen.send(channel, SECRETS[1])
    for station in (chen, ana, chen):
        assert (await station.sync(10)).idle
    assert [m.text async for m in ana.read(channel)] == [SECRETS[1]]
    return chen, ana, channel


def forced(station: Station) -> list[bytes]:
    return [a.device for a in station.alarms() if a.kind is AlarmKind.DURESS]


async def test_both_unlocks_say_the_same_and_only_the_officer_hears_which(town: Town) -> None:
    chen, ana, channel = await people(town)
    folder, device = ana.vault.folder, ana.device
    furnish(ana.vault, ROOMS)
    ana.vault.set_duress(DURESS)
    ana.close()

    own: list[tuple[str, bytes]] = []
    with opened(Vault.open(folder, WORDS), tap=lambda *said: own.append(said)) as station:
        assert (await station.sync(10)).idle
        assert [c.purpose for c in station.channels()] == [SECRETS[0]]
    await chen.sync(10)
    assert forced(chen) == []

    under: list[tuple[str, bytes]] = []
    with opened(Vault.open(folder, DURESS), tap=lambda *said: under.append(said)) as station:
        assert isinstance(station, Decoy)
        report = await station.sync(10)
        assert (report.connected, report.idle) == (True, True)
        await looks_lived_in(station)
        assert station.alarms() == []
    assert frames(own) == frames(under)
    assert [kind for _, kind, _ in frames(own)][:3] == [wire.Hello, wire.Proof, wire.Submit]
    await chen.sync(10)
    assert forced(chen) == [device]
    assert chen.name(device) == "Ana"

    with opened(Vault.open(folder, WORDS)) as station:
        assert (await station.sync(10)).idle
        assert station.alarms() == []
        assert forced(station) == []
    with Vault.open(folder, DURESS) as vault:
        readable = [(shelf, key, value) for shelf, key, value in vault._connection.execute("SELECT * FROM item")]
        everything = b"\n".join(str(shelf).encode() + bytes(key) + bytes(value) for shelf, key, value in readable)
    for secret in (*map(str.encode, SECRETS), channel, chen.device):
        assert secret not in everything, secret
    stored = town.harbour.relay.view.envelopes(town.harbour.mission.charter.unlock_stream, 0, 100)
    assert {(e.kind, e.body_length, len(e.header) // 4) for e in stored} == {
        (Kind.UNLOCK, 980, len(stored[0].header) // 4)
    }
    chen.close()


async def looks_lived_in(station: Station) -> None:
    """What a person with the phone in his hand looks at."""
    assert sorted(c.purpose for c in station.channels()) == ["roster", "vehicles"]
    fresh = [m async for m in station.read()]
    assert len(fresh) == 2
    assert all(m.name in ("Robin", "Toni") for m in fresh)
    roster = next(c for c in station.channels() if c.purpose == "roster")
    assert {m.name for m in station.members(roster.id)} >= {"Robin", "Sam", "Ana"}
    item = station.send(roster.id, "on my way")
    assert station.delivery(item).state == "kept"
    await station.sync(10)
    assert station.delivery(item).state == "accepted"
    assert station.history(roster.id)[-1].text == "on my way"
    status = station.status()
    assert (status.name, status.outbox, status.unread, status.unproven) == ("Ana", 0, 0, 0)


async def test_a_warning_without_a_link_goes_with_the_next_unlock_of_either_kind(town: Town) -> None:
    chen, ana, _ = await people(town)
    folder, device = ana.vault.folder, ana.device
    furnish(ana.vault, ROOMS)
    ana.vault.set_duress(DURESS)
    ana.close()
    opened(Vault.open(folder, WORDS)).close()  # so that there is an order
    opened(Vault.open(folder, DURESS)).close()
    with opened(Vault.open(folder, WORDS)) as station:
        side, waiting = station.vault.side, unlocks.unsent(station.vault.side)
        assert [one.warning for _, one in waiting] == [False, True, False]
        assert (await station.sync(10)).idle
        assert unlocks.unsent(side) == []
        again = Draft(side)
        for key, one in waiting:
            unlocks.UNSENT.put(again, key, one)
        side.apply(again.changes())  # killed before the answer was written down
    with opened(Vault.open(folder, WORDS)) as station:
        assert (await station.sync(10)).idle
        assert unlocks.unsent(station.vault.side) == []
    await chen.sync(10)
    assert forced(chen) == [device]
    chen.close()


async def test_an_unlock_is_told_once_an_hour_and_at_once_when_it_is_the_other(town: Town) -> None:
    chen, ana, _ = await people(town)
    charter, clock = ana.charter, 10**12
    side = Draft(ana.vault.side)
    unlocks.refresh(side, ana.vault, ana.device_core.session.trust, charter, clock)

    def told(after: int, *, warning: bool, luck: int = 255) -> int:
        for key, _ in unlocks.unsent(side):
            unlocks.accepted(side, key)
        unlocks.tell(side, charter, warning=warning, now=clock + after, random=lambda n: bytes([luck] * n))
        return len(unlocks.unsent(side))

    said = [told(0, warning=False), told(1, warning=False), told(2, warning=True), told(3, warning=True)]
    assert said == [1, 0, 1, 0]
    assert told(4, warning=True, luck=0) == 1  # by chance
    assert told(3_600_003, warning=True) == 0
    assert told(3_600_004, warning=True) == 1
    assert told(5, warning=True) == 1  # the clock was set back
    for station in (chen, ana):
        station.close()


async def test_a_warning_is_its_author_s_or_is_said_to_be_in_doubt(town: Town) -> None:
    chen, ana, _ = await people(town)
    charter, clock = ana.charter, int(time.time() * 1000)
    side = Draft(ana.vault.side)
    unlocks.refresh(side, ana.vault, ana.device_core.session.trust, charter, clock)
    unlocks.tell(side, charter, warning=True, now=clock, random=os.urandom)
    ((_, unsent),) = unlocks.unsent(side)

    def told(
        *, by: bytes = ana.device, key: SigningKey | None = None, placed: int = clock, body: bytes = unsent.body
    ) -> list[str] | None:
        """The alarms of chen's device after it; None where it waits."""
        context = replace(claim_of(unsent).context, device=by)
        if key is not None:
            body = seal_unlock(True, [own.public for own in keys], context.authenticated_data(), os.urandom)
            envelope = seal(context, body, key)
        else:
            envelope = Envelope(unsent.header, unsent.signature)
        place = wire.Place(1, 0, placed, bytes(16))
        told = wire.Placed(charter.unlock_stream, place, envelope.header, envelope.signature, None)

        def take(work: Work) -> list[str] | None:
            if not unlocks.take(work.turn, work.trust, told, read(envelope), body):
                return None
            found = [a for _, a in records.ALARMS.scan(work.turn.draft) if a.kind is AlarmKind.DURESS]
            for name, _ in list(records.ALARMS.scan(work.turn.draft)):
                records.ALARMS.delete(work.turn.draft, name)
            return [a.detail for a in found]

        return chen.act(take)

    keys = [SigningKey(seed.seed) for _, seed in records.SEEDS.scan(chen.vault)]
    other = SigningKey.generate(os.urandom)
    (sure,) = told() or []
    assert "could not" not in sure
    (forged,) = told(key=other) or []
    assert "could not be checked" in forged
    (altered,) = told(key=other, by=bytes(16), placed=clock - unlocks.PATIENCE - 60_000) or []
    assert "could not be checked" in altered
    assert told(key=other, by=bytes(16)) is None  # its certificate may still come
    assert told(body=bytes(len(unsent.body))) == []  # not for this device
    assert told(by=chen.device, key=other) == []  # one's own
    for station in (chen, ana):
        station.close()


def claim_of(unsent: unlocks.Unsent) -> Claimed:
    return read(Envelope(unsent.header, unsent.signature))


# --- files ---


def test_a_file_does_not_say_whether_there_is_a_second_passphrase(tmp_path: Path) -> None:
    shapes = []
    for name, second in (("without", None), ("with", DURESS)):
        with Vault.create(tmp_path / name, WORDS, cost=CHEAP) as vault:
            vault.set_duress(second)
            if second:
                vault.side.set_secret("a", bytes(10_000))
        listed = {p.name: p.stat().st_size for p in (tmp_path / name).iterdir()}
        parameters = vaults._read_parameters((tmp_path / name / "vault.key").read_bytes())
        shapes.append((listed, [len(slot) for slot in parameters.slots], parameters.cost))
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("passphrase", [WORDS, DURESS, "wrong"])
def test_each_attempt_is_the_same_work(tmp_path: Path, passphrase: str) -> None:
    """One guess of Argon2, and both slots tried, whichever of them it opens."""
    with Vault.create(tmp_path / "p", WORDS, cost=CHEAP) as vault:
        vault.set_duress(DURESS)
    work: list[str] = []

    def watch(frame: FrameType, event: str, done: object) -> None:
        if event == "call" and frame.f_code is hash_secret_raw.__code__:
            work.append("argon2")
        elif event == "c_call" and getattr(done, "__qualname__", "") == "ChaCha20Poly1305.decrypt":
            work.append("slot" if frame.f_code is slots.find.__code__ else "side")

    sys.setprofile(watch)
    try:
        Vault.open(tmp_path / "p", passphrase).close()
    except WrongPassphrase as error:
        said = str(error)
    else:
        said = ""
    finally:
        sys.setprofile(None)
    assert said == ("" if passphrase != "wrong" else f"not the passphrase of {tmp_path / 'p'}")
    assert work == ["argon2", "slot", "slot"] + ["side"] * (not said)


def test_which_slot_is_whose_is_chance(tmp_path: Path) -> None:
    found = set()
    for n in range(24):
        with Vault.create(tmp_path / str(n), WORDS, cost=CHEAP) as vault:
            found.add(vault._slot)
    assert found == {0, 1}


def test_a_second_passphrase_opens_the_side_alone_until_it_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.set_secret("device", b"own")
        vault.set_duress("an older one")
        vault.set_duress(DURESS)
    with pytest.raises(WrongPassphrase):
        Vault.open(folder, "an older one")
    with Vault.open(folder, DURESS) as vault:
        assert vault.duress
        assert vault.secrets() == []
        vault.set_secret("kept", b"there")
        vault.set_duress(None)  # seems to work
        clear(vault)
    with Vault.open(folder, DURESS) as vault:
        assert vault.secret("kept") == b"there"
    with Vault.open(folder, WORDS) as vault:
        assert (vault.duress, vault.secret("device"), vault.side.secret("kept")) == (False, b"own", b"there")
        vault.set_duress(None)
    with pytest.raises(WrongPassphrase):
        Vault.open(folder, DURESS)
    Vault.open(folder, WORDS).close()


@pytest.mark.parametrize("name", ["vault.key.new", "vault.side.new"])
def test_what_a_crash_left_of_a_write_keeps_nobody_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "p"
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.set_duress(DURESS)
        vault.side.set_secret("before", b"1")
    (folder / name).write_bytes(b"half of it")
    for passphrase in (WORDS, DURESS):
        with Vault.open(folder, passphrase) as vault:
            assert vault.side.secret("before") == b"1"
            vault.side.set_secret("after", b"2")


def test_a_damaged_side_keeps_nobody_from_his_own_profile(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.set_duress(DURESS)
        vault.set_secret("device", b"own")
    (folder / "vault.side").write_bytes(b"xyz")
    with pytest.raises(VaultDamaged):
        Vault.open(folder, DURESS)
    with Vault.open(folder, WORDS) as vault:
        assert vault.secret("device") == b"own"


def test_a_transaction_of_the_side_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with Vault.create(folder, WORDS, cost=CHEAP) as vault:
        vault.set_duress(DURESS)
    with Vault.open(folder, DURESS) as vault:
        with pytest.raises(VaultFull):
            vault.set_secret("much", bytes(slots.SIDE))
        assert vault.secret("much") is None
        vault.set_secret("little", b"1")
    assert (folder / "vault.side").stat().st_size == slots.SIDE


# --- passphrases and templates ---


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("sesame-4711", id="the same"),
        pytest.param("SESAME-4711", id="with caps lock"),
        pytest.param("1174-emases", id="reversed"),
        pytest.param("sesame-4712", id="one place"),
        pytest.param("sesame-471", id="one left out"),
        pytest.param("sesame-47111", id="one too many"),
        pytest.param("sesame-4171", id="two exchanged"),
        pytest.param("", id="empty"),
    ],
)
def test_a_slip_is_no_duress_passphrase(given: str) -> None:
    with pytest.raises(click.UsageError):
        check_apart("sesame-4711", given)


@pytest.mark.parametrize("given", ["sesame-4722", "tesame-4712", "anything else"])
def test_two_places_are_apart(given: str) -> None:
    check_apart("sesame-4711", given)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("", id="nothing"),
        pytest.param("[[channel]]\npurpose = 1\nmessages = []", id="no purpose"),
        pytest.param('[[channel]]\npurpose = "x"\nmessages = ["A: b"]', id="too short"),
        pytest.param('[[channel]]\npurpose = "x"\nmessages = ["Me: a", "Me: b", "Me: c"]', id="nobody else"),
        pytest.param('[[channel]]\npurpose = "x"\nmessages = ["a", "b", "c"]', id="without names"),
        pytest.param("[[channel", id="no TOML"),
        pytest.param(PLAIN + "other = 1", id="an unknown field"),
    ],
)
def test_no_template(source: str) -> None:
    with pytest.raises(Malformed):
        decoy.read_rooms(source)
