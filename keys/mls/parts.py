"""Named parts: how a group's state is cut for keeping, and the parts that hold no secret (`state.py` has the rest)."""

from collections.abc import Mapping
from typing import Annotated, Final

from keys.mls.codec import Struct, Vector, decode_all, encode_with, opaque, struct, uint16
from keys.mls.errors import DecodeError
from keys.mls.framing import Sender, sender
from keys.mls.messages import GroupContext, Proposal, proposal
from keys.mls.treemath import MAX_LEAVES

VERSION: Final = 1
"""Of this form; a later one reads the earlier ones."""

Parts = Mapping[str, bytes]


@struct
class Part(Struct):
    """One named part, where several are kept in one string."""

    name: Annotated[bytes, opaque]
    content: Annotated[bytes, opaque]


_parts: Final = Vector(Part, 8 * MAX_LEAVES)


def join_parts(parts: Parts) -> bytes:
    """All parts in one string, sorted by name."""
    return encode_with(_parts, tuple(Part(name.encode(), parts[name]) for name in sorted(parts)))


def split_parts(data: bytes) -> Parts:
    """The parts that were joined; raises `DecodeError`."""
    found: dict[str, bytes] = {}
    for one in decode_all(_parts, data):
        if not one.name.isascii():
            raise DecodeError("the name of a part is not ASCII")
        found[one.name.decode()] = one.content
    return found


def part(parts: Parts, name: str) -> bytes:
    """A part that has to be there; raises `DecodeError`."""
    content = parts.get(name)
    if content is None:
        raise DecodeError(f"the state has no part {name}")
    return content


@struct
class PublicPart(Struct):
    """Part `public`: what of an epoch is known without secrets, but for the tree."""

    version: Annotated[int, uint16]
    context: GroupContext
    confirmation_tag: Annotated[bytes, opaque]


@struct
class KeptProposal(Struct):
    """A pending proposal."""

    sender: Annotated[Sender, sender]
    reference: Annotated[bytes, opaque]
    proposal: Annotated[Proposal, proposal]


kept_proposals: Final = Vector(KeptProposal, MAX_LEAVES)
"""Part `proposals`."""
