"""Logs to audit, honest and not: a mission's life written down as a gateway would, out of `keys` alone.

`Book` gives places as a gateway does and asks nothing, so a test can have it log what no gateway should. `Party` is a device that
numbers, chains and signs. What is in `book.leaves` can be changed before `book.files()` builds and signs the tree over it: that is
a gateway that lies; changing the files is somebody with its disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from keys import body
from keys.authority import issue_revocation_list
from keys.canonical import encode
from keys.charter import sign, succeed
from keys.credential import issue_device
from keys.envelope import (
    NOTHING,
    PUBLISHED,
    Context,
    Entry,
    Envelope,
    Heard,
    Kind,
    Marking,
    Precedence,
    read,
    read_entry,
    rolling,
    seal,
)
from keys.errors import Malformed
from keys.franking import application_data, franking_tag
from keys.identity import ChannelId, DeviceId, PersonId, SigningKey, receipt_stream
from keys.mls import Add, Credential, Extension, Group, KeyPackage, PendingCommit, Proposal, Remove, cipher_suite
from keys.mls.keypackages import KeyPackageSecrets, new_key_package
from keys.mls.leaves import new_capabilities
from keys.policy import Policy, render
from keys.receipts import receipt_files
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from keys.tlog.entry import encode_bundle
from keys.tlog.errors import NotFound
from keys.tlog.merkle import leaf_hashes
from keys.tlog.tile import bundles
from tests.keys.alerts import made
from tests.keys.mission import DAY, NOW, Device, House, Mission, Registrar

HOUR = 3_600_000


@dataclass
class Files:
    """A log folder in memory."""

    files: dict[str, bytes]

    def fetch(self, path: str) -> bytes:
        if path not in self.files:
            raise NotFound(path)
        return self.files[path]

    def paths(self) -> Iterable[str]:
        return [path for path in self.files if path.startswith("tile/")]

    def changed(self, path: str, data: bytes | None) -> Files:
        """The same folder with one file in another state, or gone."""
        files = {name: content for name, content in self.files.items() if name != path}
        return Files(files if data is None else {**files, path: data})

    def write(self, folder: Any) -> None:
        for path, data in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


@dataclass
class Party:
    """A device (or a registrar's) with its chains and groups."""

    book: Book
    device: Device | Registrar
    numbers: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    groups: dict[bytes, Group] = field(default_factory=dict)

    @property
    def id(self) -> bytes:
        return self.device.device if isinstance(self.device, Registrar) else self.device.id

    @property
    def der(self) -> bytes:
        return self.device.der if isinstance(self.device, Registrar) else self.device.certified.der

    @property
    def key(self) -> SigningKey:
        return self.device.key

    # --- envelopes ---

    def context(self, kind: Kind, channel: bytes, **changes: Any) -> Context:
        number, link = self.numbers.get(channel, (0, NOTHING))
        values: dict[str, Any] = {
            "version": 1,
            "kind": kind,
            "device": self.id,
            "channel": channel,
            "epoch": 0,
            "number": number + 1,
            "attempt": 0,
            "previous": link,
            "heard": Heard(0, NOTHING),
            "time": self.book.now,
            "precedence": Precedence.ROUTINE,
            "marking": Marking.CLEAR,
            "expires": 0,
            "franking": b"",
            "alert": None,
        }
        return Context(**{**values, **changes})

    def say(self, kind: Kind, channel: bytes, data: bytes, *, signed: bool = True, **changes: Any) -> int:
        """Seal and log one envelope; gives its log index."""
        return self.log(self.context(kind, channel, **changes), data, signed=signed)

    def log(self, context: Context, data: bytes, *, signed: bool = True, key: SigningKey | None = None) -> int:
        envelope = seal(context, data, (key or self.key) if signed else None)
        self.numbers[context.channel] = (context.number, envelope.link)
        return self.book.take(context.channel, envelope, data)

    # --- channels ---

    def key_package(self, suite_id: int) -> tuple[KeyPackage, KeyPackageSecrets]:
        suite, credential = cipher_suite(suite_id), Credential.x509([self.der])
        return new_key_package(
            suite,
            credential,
            self.key.seed,
            not_before=self.book.now // 1000 - 60,
            not_after=self.book.now // 1000 + 86_400,
            random=self.book.random,
            capabilities=new_capabilities(suite, credential, (body.TERMS_EXTENSION,)),
        )

    def found(self, name: str = "narrow", ceiling: Marking = Marking.AMBER, **terms: Any) -> bytes:
        """Create a channel; with `suite`, `version` or `extensions` others than its class and charter ask for."""
        channel = self.book.random(16)
        suite = cipher_suite(terms["suite"] if "suite" in terms else self.book.charter.policy.channel_class(name).suite)
        credential = Credential.x509([self.der])
        extension = body.ChannelTerms(terms.get("version", self.book.charter.policy.version), name, ceiling).encode()
        group = Group.create(
            suite,
            channel,
            credential,
            self.key.seed,
            self.book.auth,
            extensions=terms.get("extensions", (Extension(body.TERMS_EXTENSION, extension),)),
            capabilities=new_capabilities(suite, credential, (body.TERMS_EXTENSION,)),
            not_before=self.book.now // 1000 - 60,
            not_after=self.book.now // 1000 + 86_400,
            random=self.book.random,
        )
        self.groups[channel] = group
        self.say(Kind.CHANNEL_CREATED, channel, encode(body.ChannelCreated(group.group_info(), group.tree_bytes())))
        return channel

    def prepare(
        self, channel: bytes, proposals: Sequence[Proposal], key: SigningKey | None = None, **commit: Any
    ) -> tuple[Context, PendingCommit]:
        group = self.groups[channel]
        context = self.context(Kind.COMMIT, channel, epoch=group.epoch, heard=self.book.heard(channel))
        data = context.authenticated_data()
        return context, group.commit(proposals, authenticated_data=data, random=self.book.random, **commit)

    def commit(self, channel: bytes, proposals: Sequence[Proposal] = (), **commit: Any) -> int:
        context, pending = self.prepare(channel, proposals, **commit)
        return self.send_commit(context, pending)

    def send_commit(self, context: Context, pending: PendingCommit) -> int:
        channel = context.channel
        welcome = sha256(pending.welcome).digest() if pending.welcome else None
        data = encode(body.Commit(pending.message, welcome, sha256(pending.group_info).digest()))
        index = self.log(context, data)
        self.groups[channel] = pending.group
        for party in self.book.parties:
            if party is not self and channel in party.groups and not party.groups[channel].removed:
                group, _ = party.groups[channel].process(pending.message, now_seconds=self.book.now // 1000)
                party.groups[channel] = group
        return index

    def add(self, channel: bytes, *others: Party) -> int:
        """One commit that adds all of them, and their joining."""
        packages = [other.key_package(self.groups[channel].suite.id) for other in others]
        context, pending = self.prepare(channel, [Add(package) for package, _ in packages])
        index = self.send_commit(context, pending)
        assert pending.welcome is not None
        for other, (package, secrets) in zip(others, packages, strict=True):
            other.groups[channel] = Group.join(
                pending.welcome,
                package,
                secrets,
                other.key.seed,
                self.book.auth,
                ratchet_tree=pending.group.tree_bytes(),
            )
        return index

    def leaf(self, channel: bytes) -> int:
        return self.groups[channel].own_leaf_index

    def message(self, channel: bytes, text: bytes = b"vehicle clear", *, signed: bool = True, **changes: Any) -> int:
        """An application envelope, or an alert."""
        group, salt = self.groups[channel], changes.pop("salt", None) or self.book.random(16)
        kind = changes.pop("kind", Kind.APPLICATION)
        defaults = {"epoch": group.epoch, "franking": franking_tag(salt, text), "heard": self.book.heard(channel)}
        context = self.context(kind, channel, **{**defaults, **changes})
        data = application_data(salt, text)
        if not group.removed:
            self.groups[channel], data = group.protect(
                data, authenticated_data=context.authenticated_data(), padding=128, random=self.book.random
            )
        return self.log(context, data, signed=signed)

    def alert(self, channel: bytes, **changes: Any) -> int:
        """Of this device alone, or with `approved_by` as its second person; `draft` changes what was signed."""
        text, salt = b"shelter", self.book.random(16)
        tag = franking_tag(salt, text)
        approver, draft = changes.pop("approved_by", None), changes.pop("draft", {})
        mission, writer = self.book.mission, changes.pop("written_by", self)
        second = approver.device if approver else None
        alert = made(mission, writer.device, second, [(channel, tag)], now=self.book.now, **draft)
        fields = changes.pop("fields", lambda alert: alert.fields(channel))(alert)
        return self.message(channel, text, salt=salt, kind=Kind.ALERT, **{"alert": fields, **changes})

    def receipt(self, channel: bytes, **changes: Any) -> int:
        stream = receipt_stream(ChannelId(channel))
        data = encode(body.Receipt(channel, [], [], [], None))
        return self.say(Kind.RECEIPT, stream, data, **{"heard": self.book.heard(channel), **changes})


class Anybody:
    """An Authentication Service that asks nothing, so that a group can be made to hold whom it should not."""

    def validate(self, credential: Credential, signature_key: bytes) -> None: ...

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return True


class Book:
    """What a gateway would have logged, without its questions."""

    def __init__(self, seed: int = 1, *, begun: bool = True) -> None:
        self.mission = Mission(seed)
        self.charter = self.mission.charter
        self.random = self.mission.random
        self.now = NOW
        self.leaves: list[bytes] = []
        self.bodies: dict[str, bytes] = {}
        self.seqs: dict[bytes, int] = {}
        self.rolling: dict[bytes, bytes] = {}
        self.parties: list[Party] = []
        self.gateway = Party(self, Device(self.mission.gateway, _Named(self.charter.gateway_device)))  # type: ignore[arg-type]
        self.auth = Anybody()
        self.registrars = {
            house.organisation.name: [Party(self, registrar) for registrar in house.registrars]
            for house in (self.mission.home, self.mission.partner)
        }
        if begun:
            self.install(self.charter.note)
            self.act()
            for name in self.registrars:
                self.publish_list(name)

    @property
    def control(self) -> bytes:
        return self.charter.control_channel

    def heard(self, channel: bytes) -> Heard:
        """All of the channel so far."""
        return Heard(self.seqs.get(channel, 0), self.rolling.get(channel, NOTHING))

    def rolling_at(self, channel: bytes, seq: int) -> bytes:
        """The channel's rolling hash after that place."""
        found = NOTHING
        for entry in map(read_entry, self.leaves):
            if entry.channel == channel and entry.seq <= seq:
                found = rolling(found, entry.header)
        return found

    def take(self, channel: bytes, envelope: Envelope, data: bytes) -> int:
        """Give an envelope its place."""
        self.now += 50
        self.seqs[channel] = seq = self.seqs.get(channel, 0) + 1
        self.rolling[channel] = rolling(self.rolling.get(channel, NOTHING), envelope.header)
        entry = Entry(1, self.now, self.random(16), channel, seq, envelope.header, envelope.signature)
        self.leaves.append(encode(entry))
        self.bodies[f"body/{sha256(data).hexdigest()}"] = data
        return len(self.leaves) - 1

    def install(self, note: bytes) -> int:
        """Log a charter, whatever it is."""
        return self.gateway.say(Kind.CHARTER, self.control, note)

    def successor(self, **changes: object) -> int:
        """The next version, signed by the authorities, in force and logged."""
        policy: Policy = self.mission.successor(**changes)
        self.charter = succeed(self.charter, sign(render(policy), self.mission.authorities[:2]))
        self.mission.policy = policy
        return self.install(self.charter.note)

    def act(self, what: body.Act = body.Act.START, **changes: Any) -> int:
        return self.gateway.say(Kind.GATEWAY_ACT, self.control, encode(body.GatewayAct(what, "1.0")), **changes)

    def filler(self) -> int:
        return self.gateway.say(Kind.FILLER, self.control, b"")

    def publish_list(
        self, organisation: str, serials: Iterable[int] = (), number: int = 1, by: Party | None = None
    ) -> int:
        registrar = self.registrars[organisation][0]
        listed = issue_revocation_list(
            registrar.der, registrar.key, number, serials, self.now // 1000 * 1000, self.now // 1000 * 1000 + DAY
        )
        return (by or registrar).say(Kind.REVOCATION_LIST, self.control, listed)

    def enrolled(self, *roles: str, house: House | None = None, by: Party | None = None, **changes: Any) -> Party:
        """A device whose certificate the organisation's second registrar, or `by`, has approved."""
        house = house or self.mission.home
        party = Party(self, self.mission.device(*roles, house=house, **changes))
        self.approve(party, by or self.registrars[house.organisation.name][1])
        self.parties.append(party)
        return party

    def approve(self, party: Party, by: Party, **changes: Any) -> int:
        return by.say(Kind.CERTIFICATE, self.control, party.der, **changes)

    def renewed(self, party: Party, roles: frozenset[str] | None = None) -> Device:
        """The next certificate of a device, approved; its leaves are as they were."""
        assert isinstance(party.device, Device)
        old, registrar = party.device.certified, self.mission.home.registrars[0]
        key = SigningKey.generate(self.random)
        life = (old.not_before + 1000, old.not_after + DAY)
        der = issue_device(
            registrar.der,
            registrar.key,
            key.public,
            PersonId(old.person),
            DeviceId(old.device),
            old.roles if roles is None else roles,
            life,
            self.random,
        )
        device = Device(key, self.charter.verify_certificate(der))
        self.registrars["Meridian"][1].say(Kind.CERTIFICATE, self.control, der)
        return device

    # --- the tree ---

    def head(self, size: int | None = None) -> bytes:
        """The signed checkpoint over the first entries."""
        edge, _ = Edge().extend(leaf_hashes(self.leaves[:size]))
        head = TreeHead(self.mission.log.name, edge.size, edge.root)
        return sign_checkpoint(head, [self.mission.log]).encode()

    def files(self) -> Files:
        """The folder with tree, checkpoint and published bodies over what the leaves are now."""
        edge, full = Edge().extend(leaf_hashes(self.leaves))
        files = {data.tile.path: data.hashes for data in (*full, *edge.partials())}
        for bundle in bundles(len(self.leaves)):
            files[bundle.path] = encode_bundle(self.leaves[bundle.start : bundle.start + bundle.width])
        files["checkpoint"] = self.head()
        return Files({**files, **self.bodies})

    def published(self) -> Files:
        """The same folder as a gateway keeps it: no body that is not published, and receipts in their bundles."""
        files, receipts = dict(self.files().files), dict[int, bytes]()
        for index, leaf in enumerate(self.leaves):
            try:
                claimed = read(read_entry(leaf).envelope)
            except Malformed:  # a leaf that a test has broken
                continue
            name = f"body/{claimed.header.body_hash.hex()}"
            if claimed.context.kind is Kind.RECEIPT:
                receipts[index] = self.bodies[name]
            if claimed.context.kind not in PUBLISHED:
                files.pop(name, None)
        return Files(files | dict(receipt_files(receipts, 0, len(self.leaves))))

    def entry(self, index: int) -> Entry:
        return read_entry(self.leaves[index])

    def change(self, index: int, **changes: Any) -> None:
        """Put another entry in the place of one, as a gateway with its own log key could."""
        entry = self.entry(index)
        values = {name: getattr(entry, name) for name in entry.__struct_fields__}
        self.leaves[index] = encode(Entry(**{**values, **changes}))


@dataclass
class _Named:
    """Stands where a certificate would: the gateway has none."""

    device: bytes


def honest(seed: int = 1) -> Book:
    """A log with everything that an honest one has: two channels, guests, receipts, a run, an alert, a removal, a renewal."""
    book = Book(seed)
    chen = book.enrolled("officer")
    bea, ayo = book.enrolled("leader", by=chen), book.enrolled("agent", by=chen)
    emil = book.enrolled("guest", house=book.mission.partner)
    detail = bea.found("narrow", Marking.AMBER)
    bea.add(detail, ayo, chen)
    for text in (b"at east gate", b"vehicle clear"):
        ayo.message(detail, text, marking=Marking.AMBER)
    for n in range(3):
        bea.message(detail, b"%d" % n, signed=n == 2)
    chen.receipt(detail)
    liaison = chen.found("narrow", Marking.GREEN)
    chen.add(liaison, emil, ayo)
    emil.message(liaison)
    emil.receipt(liaison)
    book.filler()
    chen.say(Kind.ACK, detail, encode(body.Ack(bytes(32), 0, None, bytes(16))), epoch=1, heard=book.heard(detail))
    alerts = chen.found("alert", Marking.AMBER, suite=0xF001)
    chen.add(alerts, ayo)
    chen.alert(alerts, marking=Marking.AMBER)
    beside = receipt_stream(ChannelId(alerts))
    ayo.say(Kind.ACK, beside, encode(body.Ack(bytes(32), 1, None, bytes(16))), heard=book.heard(alerts))
    book.parties.remove(emil)
    book.publish_list("Hostpol", [emil.device.certified.serial], 2)  # type: ignore[union-attr]
    chen.commit(liaison, [removal(chen, liaison, emil)])
    ayo.message(liaison)
    book.act(body.Act.BACKUP)
    return book


def removal(by: Party, channel: bytes, whom: Party) -> Proposal:

    members = by.groups[channel].public.members
    leaf = next(m.leaf_index for m in members if m.credential.certificates[0] == whom.der)
    return Remove(leaf)
