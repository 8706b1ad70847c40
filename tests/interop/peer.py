"""Our side of the interop tests: one JSON request per line in, one JSON answer per line out (`README.md` has the table).

A process holds any number of clients, each with its keys and groups; byte strings are base64, messages whole
MLSMessages. An answer is the request's `id` with a result, with `error` where the library refused, or with `cannot`
where it has no such thing. Needs the core install alone: `python tests/interop/peer.py`.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
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
    Group,
    GroupContextExtensions,
    GroupInfo,
    KeyPackage,
    KeyPackageSecrets,
    MLSError,
    MLSMessage,
    PendingCommit,
    PreSharedKey,
    Proposal,
    PublicGroup,
    Remove,
    Unsupported,
    cipher_suite,
    new_key_package,
    new_member_proposal,
)
from keys.mls.nodes import RATCHET_TREE

Json = dict[str, object]

DAY = 86_400


class Cannot(Exception):
    """Something this peer has no way to do; the text says why."""


class Anybody:
    """An Authentication Service that vouches for everyone."""

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        pass

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return old == new


@dataclass(frozen=True, slots=True)
class Request:
    """One line, read strictly."""

    values: Mapping[str, object]

    def text(self, name: str) -> str:
        value = self.values[name]
        if not isinstance(value, str):
            raise TypeError(f"{name} is not a string")
        return value

    def number(self, name: str) -> int:
        value = self.values[name]
        if type(value) is not int:
            raise TypeError(f"{name} is not a number")
        return value

    def bytes(self, name: str) -> bytes:
        return base64.b64decode(self.text(name), validate=True)

    def many(self, name: str) -> list[bytes]:
        values = self.values.get(name, [])
        if not isinstance(values, list):
            raise TypeError(f"{name} is not a list")
        return [base64.b64decode(value, validate=True) for value in values]

    def flag(self, name: str) -> bool:
        return self.values.get(name) is True


def b64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


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
        """What the peers' groups may ask for: one of them requires X.509 credentials of everybody."""
        return Capabilities((1,), (self.suite.id,), (), (), (1, 2))

    def group(self, request: Request) -> Group:
        return self.groups[request.bytes("group")]


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
        client.groups[group_id] = Group.create(
            client.suite,
            group_id,
            client.credential,
            client.signature_private_key,
            Anybody(),
            not_before=now() - DAY,
            not_after=now() + 27 * DAY,
            random=os.urandom,
            capabilities=client.capabilities(),
        )
        return {}

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
                    psks=client.psks,
                    now_seconds=now(),
                )
                del client.packages[place]
                client.groups[group.group_id] = group
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
            by_reference=[one.reference for one in group.pending_proposals] if request.flag("pending") else None,
            psks=client.psks,
            with_tree=True,
            now_seconds=now(),
        )
        client.pending[group.group_id] = pending
        return {"commit": b64(pending.message), "welcome": b64(pending.welcome)}

    def _proposals(self, client: Client, group: Group, request: Request) -> list[Proposal]:
        proposals: list[Proposal] = []
        for data in request.many("add"):
            package = MLSMessage.unwrap(data)
            assert isinstance(package, KeyPackage)
            proposals.append(Add(package))
        proposals += [Remove(self._leaf(group, identity)) for identity in request.many("remove")]
        proposals += [PreSharedKey.external(client.suite, psk_id, os.urandom) for psk_id in request.many("psks")]
        if "required" in request.values:
            proposals.append(GroupContextExtensions((Extension(3, request.bytes("required")),)))
        return proposals

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
        client.groups[group.group_id] = group
        return {}

    def discard(self, request: Request) -> Json:
        client = self._client(request)
        del client.pending[request.bytes("group")]
        client.entering.discard(request.bytes("group"))
        return {}

    # From outside

    def group_info(self, request: Request) -> Json:
        info = self._client(request).group(request).group_info(with_tree=True, external=True)
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
        client.groups[group.group_id] = group
        return {"message": b64(message)}

    # Messages

    def protect(self, request: Request) -> Json:
        client = self._client(request)
        group, message = client.group(request).protect(request.bytes("content"), padding=64, random=os.urandom)
        client.groups[group.group_id] = group
        return {"message": b64(message)}

    def process(self, request: Request) -> Json:
        client = self._client(request)
        message, psks = request.bytes("message"), client.psks
        group, received = client.group(request).process(message, now_seconds=now(), psks=psks)
        client.groups[group.group_id] = group
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


def answer(peer: Peer, line: str) -> Json:
    """The answer to one line; a mistake in the request is an answer too."""
    number: object = None
    try:
        values = json.loads(line)
        number = values["id"]
        name = values["op"]
        method: Callable[[Request], Json] | None = None if name.startswith("_") else getattr(peer, name, None)
        if method is None:
            raise Cannot(f"no such request here: {name}")
        return {"id": number, **method(Request(values))}
    except (Cannot, Unsupported) as error:
        return {"id": number, "cannot": str(error)}
    except MLSError as error:
        return {"id": number, "error": f"{type(error).__name__}: {error}"}
    except (KeyError, TypeError, ValueError) as error:
        return {"id": number, "error": f"a bad request: {error!r}"}


def main() -> None:
    """Answer until the input ends."""
    peer = Peer()
    for line in sys.stdin:
        print(json.dumps(answer(peer, line)), flush=True)


if __name__ == "__main__":
    main()
