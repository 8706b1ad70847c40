"""Our side of the interop tests: one JSON request per line in, one JSON answer per line out (`README.md` has the table).

A process holds any number of clients, each with its keys and groups; byte strings are base64, messages whole
MLSMessages. An answer is the request's `id` with a result, with `error` where the library refused, or with `cannot`
where it has no such thing. Needs the core install alone: `python tests/interop/peer.py`.
"""

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from keys.mls import (
    SUPPORTED,
    Add,
    ApplicationReceived,
    Capabilities,
    CipherSuite,
    CommitReceived,
    Credential,
    Extension,
    Founder,
    Group,
    GroupContextExtensions,
    GroupInfo,
    KeyPackage,
    KeyPackageSecrets,
    MLSMessage,
    PendingCommit,
    PreSharedKey,
    PreSharedKeys,
    Proposal,
    PublicGroup,
    ReInit,
    Remove,
    branch,
    cipher_suite,
    external_proposal,
    external_senders_extension,
    new_key_package,
    new_member_proposal,
    reinitialize,
)
from keys.mls.nodes import RATCHET_TREE, ExternalSender
from tests.interop.lines import Cannot, Json, Request, b64, serve

DAY = 86_400


GREASE = Extension(0x2A2A, b"whatever")
"""In KeyPackages and GroupInfos; capabilities have more such values (section 13.5)."""


class Anybody:
    """An Authentication Service that vouches for everyone."""

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        pass

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return old == new


def _package(data: bytes) -> KeyPackage:
    package = MLSMessage.unwrap(data)
    if not isinstance(package, KeyPackage):
        raise TypeError("not a KeyPackage")
    return package


def now() -> int:
    return int(time.time())


@dataclass
class Client:
    """Somebody with a signature key, KeyPackages that were handed out, and groups."""

    suite: CipherSuite
    credential: Credential
    signature_private_key: bytes
    packages: list[tuple[KeyPackage, KeyPackageSecrets]] = field(default_factory=list)
    groups: dict[bytes, Group] = field(default_factory=dict)
    pending: dict[bytes, PendingCommit] = field(default_factory=dict)
    entering: set[bytes] = field(default_factory=set)
    """Groups that a pending external commit leads into."""
    psks: dict[bytes, bytes] = field(default_factory=dict)

    def capabilities(self) -> Capabilities:
        """What the peers' groups may ask for (one requires X.509 credentials of everybody), and GREASE (13.5)."""
        return Capabilities((1,), (self.suite.id, 0x1A1A), (0x2A2A,), (0x3A3A,), (1, 2, 0x4A4A))

    def group(self, request: Request) -> Group:
        return self.groups[request.bytes("group")]

    def keep(self, group: Group) -> None:
        """Save and load it, so that nothing rests on what is not in its state."""
        self.groups[group.group_id] = Group.load(group.parts(), Anybody())


class Peer:
    """All clients of this process, and what can be asked of them: each method without underscore is a request."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}

    def _client(self, request: Request) -> Client:
        return self._clients[request.text("client")]

    def hello(self, request: Request) -> Json:
        return {"name": "outrider", "suites": list(SUPPORTED)}

    def client(self, request: Request) -> Json:
        suite = cipher_suite(request.number("suite"))
        credential = Credential.basic(request.bytes("identity"))
        key = suite.generate_signature_key(os.urandom)
        self._clients[request.text("client")] = Client(suite, credential, key)
        return {}

    def key_package(self, request: Request) -> Json:
        client = self._client(request)
        package, secrets = new_key_package(
            client.suite,
            client.credential,
            client.signature_private_key,
            not_before=now() - DAY,
            not_after=now() + 27 * DAY,
            random=os.urandom,
            extensions=(GREASE,),
            capabilities=client.capabilities(),
        )
        client.packages.append((package, secrets))
        return {"key_package": b64(MLSMessage.wrap(package))}

    def psk(self, request: Request) -> Json:
        self._client(request).psks[request.bytes("psk_id")] = request.bytes("psk")
        return {}

    # Coming in

    def create(self, request: Request) -> Json:
        client = self._client(request)
        group_id = request.bytes("group")
        group = Group.create(
            client.suite,
            group_id,
            client.credential,
            client.signature_private_key,
            Anybody(),
            not_before=now() - DAY,
            not_after=now() + 27 * DAY,
            random=os.urandom,
            extensions=self._external_senders(request),
            capabilities=client.capabilities(),
        )
        client.keep(group)
        return {}

    def _external_senders(self, request: Request) -> tuple[Extension, ...]:
        """The client that the new group lists as an external sender, if one is named."""
        if "external_sender" not in request.values:
            return ()
        sender = self._clients[request.text("external_sender")]
        key = sender.suite.signature_public_key(sender.signature_private_key)
        return (external_senders_extension([ExternalSender(key, sender.credential)]),)

    def join(self, request: Request) -> Json:
        client = self._client(request)
        welcome = MLSMessage.unwrap(request.bytes("welcome"))
        wanted = {entry.new_member for entry in getattr(welcome, "secrets", ())}
        for place, (package, secrets) in enumerate(client.packages):
            if package.ref(client.suite) in wanted:
                group = Group.join(
                    request.bytes("welcome"),
                    package,
                    secrets,
                    client.signature_private_key,
                    Anybody(),
                    psks=PreSharedKeys(client.psks, groups=client.groups),
                    now_seconds=now(),
                )
                del client.packages[place]
                client.keep(group)
                return {"group": b64(group.group_id)}
        raise KeyError("the Welcome is for no KeyPackage of this client")

    # Commits

    def commit(self, request: Request) -> Json:
        client = self._client(request)
        group = client.group(request)
        self._refuse_sealed(request)
        pending = group.commit(
            self._proposals(client, group, request),
            random=os.urandom,
            by_reference=self._all_pending(group) if request.flag("pending") else None,
            psks=client.psks,
            path=not request.flag("bare"),
            with_tree=True,
            now_seconds=now(),
        )
        client.pending[group.group_id] = pending
        return {"commit": b64(pending.message), "welcome": b64(pending.welcome)}

    def _proposals(self, client: Client, group: Group, request: Request) -> list[Proposal]:
        proposals: list[Proposal] = []
        proposals += [Add(_package(data)) for data in request.many("add")]
        proposals += [Remove(self._leaf(group, identity)) for identity in request.many("remove")]
        proposals += [PreSharedKey.external(client.suite, psk_id, os.urandom) for psk_id in request.many("psks")]
        if "reinit" in request.values:
            proposals.append(ReInit(request.bytes("reinit"), 1, client.suite.id, ()))
        if "epoch" in request.values:
            epoch = request.number("epoch")
            proposals.append(PreSharedKey.resumption(client.suite, group.group_id, epoch, os.urandom))
        if "required" in request.values:
            proposals.append(GroupContextExtensions((Extension(3, request.bytes("required")),)))
        return proposals

    def _all_pending(self, group: Group) -> list[bytes]:
        return [one.reference for one in group.pending_proposals if one.reference is not None]

    def _refuse_sealed(self, request: Request) -> None:
        if request.flag("sealed"):
            raise Cannot("our handshakes are PublicMessages: the gateway reads them")

    def _leaf(self, group: Group, identity: bytes) -> int:
        return next(one.leaf_index for one in group.members if one.credential.identity == identity)

    def merge(self, request: Request) -> Json:
        client = self._client(request)
        pending = client.pending.pop(request.bytes("group"))
        group = pending.group
        if group.group_id not in client.entering:
            group = client.group(request).merge(pending, now_seconds=now())
        client.entering.discard(group.group_id)
        client.keep(group)
        return {}

    def discard(self, request: Request) -> Json:
        client = self._client(request)
        del client.pending[request.bytes("group")]
        client.entering.discard(request.bytes("group"))
        return {}

    # From outside

    def group_info(self, request: Request) -> Json:
        info = self._client(request).group(request).group_info(with_tree=True, external=True, extensions=(GREASE,))
        return {"group_info": b64(info)}

    def external_commit(self, request: Request) -> Json:
        client = self._client(request)
        info = request.bytes("group_info")
        remove = self._prior_leaf(client, info) if request.flag("resync") else None
        pending = Group.join_externally(
            info,
            client.credential,
            client.signature_private_key,
            Anybody(),
            random=os.urandom,
            remove=remove,
            capabilities=client.capabilities(),
            now_seconds=now(),
        )
        group_id = pending.group.group_id
        client.pending[group_id] = pending
        client.entering.add(group_id)
        return {"commit": b64(pending.message), "group": b64(group_id)}

    def _prior_leaf(self, client: Client, group_info: bytes) -> int:
        info = MLSMessage.unwrap(group_info)
        assert isinstance(info, GroupInfo)
        tree = next(one.extension_data for one in info.extensions if one.extension_type == RATCHET_TREE)
        public = PublicGroup.create(client.suite, group_info, tree, Anybody())
        return next(one.leaf_index for one in public.members if one.credential == client.credential)

    def external_remove(self, request: Request) -> Json:
        """A Remove by this client, which is the group's external sender."""
        client, group = self._client(request), self._clients[request.text("seen_by")].group(request)
        message = external_proposal(
            client.suite,
            group.group_id,
            group.epoch,
            0,
            client.signature_private_key,
            Remove(self._leaf(group, request.bytes("remove"))),
        )
        return {"message": b64(message)}

    def external_add(self, request: Request) -> Json:
        client = self._client(request)
        info = MLSMessage.unwrap(request.bytes("group_info"))
        assert isinstance(info, GroupInfo)
        self.key_package(request)
        package, _ = client.packages[-1]
        context = info.group_context
        message = new_member_proposal(context.group_id, context.epoch, package, client.signature_private_key)
        return {"message": b64(message)}

    def propose(self, request: Request) -> Json:
        client = self._client(request)
        group = client.group(request)
        self._refuse_sealed(request)
        if request.flag("update"):
            group, message = group.propose_update(random=os.urandom)
        else:
            (proposal,) = self._proposals(client, group, request)
            group, message = group.propose(proposal, random=os.urandom)
        client.keep(group)
        return {"message": b64(message)}

    # A group from another

    def found(self, request: Request) -> Json:
        """The group that follows a ReInit, or a branch named `branch`, with these KeyPackages."""
        client = self._client(request)
        old, packages = client.group(request), [_package(data) for data in request.many("add")]
        founder = Founder(now() - DAY, now() + 27 * DAY)
        if "branch" in request.values:
            made = branch(
                old, request.bytes("branch"), packages, founder, random=os.urandom, with_tree=True, now_seconds=now()
            )
        else:
            made = reinitialize(old, packages, founder, random=os.urandom, with_tree=True, now_seconds=now())
        client.keep(made.group)
        return {"welcome": b64(made.welcome)}

    # Messages

    def protect(self, request: Request) -> Json:
        client = self._client(request)
        group, message = client.group(request).protect(request.bytes("content"), padding=64, random=os.urandom)
        client.keep(group)
        return {"message": b64(message)}

    def process(self, request: Request) -> Json:
        client = self._client(request)
        message, psks = request.bytes("message"), client.psks
        group, received = client.group(request).process(message, now_seconds=now(), psks=psks)
        client.keep(group)
        match received:
            case ApplicationReceived(content=content):
                return {"kind": "application", "content": b64(content)}
            case CommitReceived(self_removed=removed):
                return {"kind": "commit", "removed": removed}
        return {"kind": "proposal"}

    # What it is

    def state(self, request: Request) -> Json:
        group = self._client(request).group(request)
        return {
            "epoch": group.epoch,
            "members": [b64(member.credential.identity) for member in group.members],
            "authenticator": b64(group.epoch_authenticator),
            "exported": b64(group.exporter(request.text("label").encode(), b"", 32)),
        }


if __name__ == "__main__":
    serve(Peer())
