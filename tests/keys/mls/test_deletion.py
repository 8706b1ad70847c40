"""What was used is gone (RFC 9420 sections 9.2 and 15.3): a suite notes every secret it is given, and the state is searched."""

from dataclasses import replace

import pytest

from keys.mls import Add, CipherSuite, Duplicate, Group, Misuse, PendingCommit, Remove, cipher_suite
from keys.mls.messages import ExternalPsk, PreSharedKey, PreSharedKeyID
from keys.mls.suites import HPKECiphertext
from tests.keys.mls.people import NOW, Person, World, seeded

SUITE = cipher_suite(1)


class Noting(CipherSuite):
    """A suite that works as another one does, and notes the secrets that go in and the private keys that come out."""

    __slots__ = ("made", "used")

    def __init__(self, suite: CipherSuite) -> None:
        super().__init__(
            suite.id, suite.name, suite.hpke, suite.hash_name, suite.aead, suite.key_length, suite.signature
        )
        object.__setattr__(self, "used", {})
        object.__setattr__(self, "made", set())

    used: dict[bytes, str]
    made: set[bytes]

    def note(self, secret: bytes, purpose: str) -> None:
        if secret.strip(b"\0"):
            self.used[secret] = purpose

    def extract(self, salt: bytes, ikm: bytes) -> bytes:
        self.note(salt, "salt of extract")
        self.note(ikm, "input of extract")
        return super().extract(salt, ikm)

    def expand_with_label(self, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        self.note(secret, f"expanded for {label.decode()}")
        return super().expand_with_label(secret, label, context, length)

    def derive_key_pair(self, secret: bytes) -> tuple[bytes, bytes]:
        self.note(secret, "made into a key pair")
        private, public = super().derive_key_pair(secret)
        self.made.add(private)
        return private, public

    def seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        self.note(key, "sealed with")
        return super().seal(key, nonce, aad, plaintext)

    def open(self, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        self.note(key, "opened with")
        return super().open(key, nonce, aad, ciphertext)

    def mac(self, key: bytes, data: bytes) -> bytes:
        self.note(key, "made a tag with")
        return super().mac(key, data)

    def verify_mac(self, key: bytes, data: bytes, tag: bytes) -> None:
        self.note(key, "checked a tag with")
        super().verify_mac(key, data, tag)

    def decrypt_with_label(self, private_key: bytes, label: bytes, context: bytes, sealed: HPKECiphertext) -> bytes:
        self.made.add(private_key)
        return super().decrypt_with_label(private_key, label, context, sealed)


def noting(group: Group, suite: Noting) -> Group:
    """The same group over the suite that takes notes."""
    edit = group.tree.edit()
    edit.suite = suite
    return replace(group, public=replace(group.public, suite=suite, tree=edit.finish()))


def in_use(group: Group) -> set[bytes]:
    """What serves more than once by design, and stays as long as its epoch does."""
    present = group.secrets
    lasting = {present.sender_data_secret, present.exporter_secret, present.external_secret, present.membership_key}
    return lasting | {past.epoch.sender_data_secret for past in group.past}


def search(group: Group, suite: Noting) -> None:
    """Nothing that was used stands in the state, and of the private keys only those of nodes that are still so."""
    state = b"".join(group.parts().values())
    for secret, purpose in suite.used.items():
        assert secret in in_use(group) or secret not in state, purpose
    held = {*group.private.values(), *(update.encryption_private_key for update in group.own_updates.values())}
    assert not [private for private in suite.made - held if private in state], "private keys of before"
    assert all(private in state for private in held)
    assert {past.number for past in group.past} == {
        int(name.removeprefix("past-")) for name in group.parts() if name.startswith("past-")
    }


def test_every_secret_that_was_used_is_gone() -> None:
    """A member speaks, hears out of order, updates, commits, follows, is late: after each step the state is searched."""
    world, suite = World(SUITE, 6), Noting(SUITE)
    group = noting(world.groups.pop(b"member 1"), suite)
    psks = {b"the word": b"\x07" * 32}

    def others(message: bytes) -> None:
        for name, other in list(world.groups.items()):
            world.groups[name], _ = other.process(message, now_seconds=NOW, psks=psks)

    def hear(message: bytes, at: int = NOW) -> None:
        nonlocal group
        group, _ = group.process(message, now_seconds=at, psks=psks)
        search(group, suite)

    def says(by: bytes, count: int) -> list[bytes]:
        said = []
        for _ in range(count):
            world.groups[by], message = world[by].protect(b"text", random=world.random)
            said.append(message)
        return said

    group, message = group.protect(b"text", random=world.random)
    search(group, suite)
    said = says(b"member 0", 40)
    for number in (38, 7, 20, 39):  # 0 to 6 are beyond what is kept
        hear(said[number])
    group, message = group.propose_update(random=world.random)
    others(message)
    search(group, suite)
    identity = PreSharedKeyID(ExternalPsk(b"the word"), bytes(32))
    pending = world[b"member 2"].commit([PreSharedKey(identity)], psks=psks, random=world.random)
    world.groups[b"member 2"] = world[b"member 2"].merge(pending)
    hear(pending.message)
    for name in (b"member 0", b"member 3", b"member 4", b"member 5"):
        world.groups[name], _ = world[name].process(pending.message, now_seconds=NOW, psks=psks)
    hear(said[21])
    pending = group.commit([Remove(5)], random=world.random)
    del world.groups[b"member 5"]
    others(pending.message)
    group = group.merge(pending, now_seconds=NOW)
    search(group, suite)
    group.exporter(b"test", b"", 16)
    for by in (b"member 0", b"member 4", b"member 2"):
        late = says(by, 2)
        pending = world[by].commit(random=world.random)
        hear(pending.message)
        for name, other in list(world.groups.items()):
            world.groups[name] = (
                other.merge(pending) if name == by else other.process(pending.message, now_seconds=NOW)[0]
            )
        hear(late[1])
    assert len(group.past) == 3
    group = group.expire(NOW + 3601)
    assert group.past == ()
    search(group, suite)
    assert {"opened with", "sealed with", "made into a key pair", "input of extract"} < set(suite.used.values())
    for label in ("joiner", "epoch", "application_export", "tree", "application", "secret", "path", "derived psk"):
        assert f"expanded for {label}" in suite.used.values()


def test_a_joiner_keeps_neither_init_key_nor_what_the_welcome_brought() -> None:
    world = World(SUITE, 3)
    guest, noted = Person.named(SUITE, b"guest"), Noting(SUITE)
    package, secrets = guest.key_package()
    sender = noting(world[b"member 0"], noted)
    pending = sender.commit([Add(package)], random=world.random)
    joined = Group.join(
        pending.welcome or b"",
        package,
        secrets,
        guest.signature_private_key,
        world.auth,
        ratchet_tree=pending.group.tree_bytes(),
    )
    assert joined.epoch_authenticator == pending.group.epoch_authenticator
    state = b"".join(joined.parts().values())
    assert secrets.init_private_key not in state
    assert secrets.encryption_private_key in state
    for secret, purpose in noted.used.items():  # what the committer derived on the way, the joiner derived too
        assert secret in in_use(joined) or secret not in state, purpose
    later = joined.commit(random=world.random)
    assert secrets.encryption_private_key not in b"".join(joined.merge(later).parts().values())


def test_what_was_read_while_a_commit_waited_stays_read() -> None:
    """The pending Commit is kept with what comes after it, not with the keys of messages that come meanwhile."""
    world = World(SUITE, 3)
    group = world[b"member 0"]
    pending = group.commit(random=world.random)
    suite = Noting(SUITE)
    for _ in range(3):
        world.groups[b"member 1"], message = world[b"member 1"].protect(b"text", random=world.random)
        group, _ = noting(group, suite).process(message, now_seconds=NOW)
    kept = pending.encode()
    assert not [purpose for secret, purpose in suite.used.items() if secret in kept and secret not in in_use(group)]
    merged = group.merge(PendingCommit.decode(kept, world.auth), now_seconds=NOW)
    with pytest.raises(Duplicate):
        merged.process(message, now_seconds=NOW)
    world.groups[b"member 1"], late = world[b"member 1"].protect(b"text", random=world.random)
    merged.process(late, now_seconds=NOW)
    with pytest.raises(Misuse, match="leads to epoch 2"):
        merged.merge(pending)


def test_a_member_that_was_put_out_has_nothing_to_speak_with() -> None:
    world, suite = World(SUITE, 4), Noting(SUITE)
    gone = noting(world[b"member 3"], suite)
    secrets, private = gone.secrets, dict(gone.private)
    pending = world[b"member 0"].commit([Remove(3)], random=seeded("out"))
    gone, _ = gone.process(pending.message, now_seconds=NOW)
    state = b"".join(gone.parts().values())
    for name in ("init_secret", "exporter_secret", "external_secret", "membership_key"):
        assert getattr(secrets, name) not in state, name
    assert not [node for node, key in private.items() if key in state]
    assert world[b"member 3"].signature_private_key not in state
