"""The approval root: what it commits to, what a channel opens of it, and that both signatures are over the very content."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keys.alert import (
    APPROVAL,
    TARGETS,
    WRITER,
    AlertFields,
    AlertType,
    Audience,
    Draft,
    Leaf,
    Opening,
    cap_commitment,
    check_alert,
    check_audience,
    ladder_commitment,
    root_words,
    sign_approval,
    sign_writer,
    verify_approval,
    verify_writer,
)
from keys.canonical import encode, reader
from keys.envelope import Kind
from keys.errors import BadSignature, Malformed
from keys.identity import SigningKey, verify
from keys.tlog.merkle import leaf_hash
from tests.keys.alerts import Made, made
from tests.keys.goldens import check_golden
from tests.keys.mission import NOW, Mission
from tests.keys.shapes import sample, takes_one_encoding, values

MISSION = Mission(11)
CHEN, DARA = MISSION.device("officer"), MISSION.device("officer")
ONE, TWO, THREE = b"1" * 16, b"2" * 16, b"3" * 16
TAG, OTHER = b"t" * 32, b"o" * 32
TARGETED = ((ONE, TAG), (TWO, OTHER), (THREE, TAG))
ALERT = made(MISSION, CHEN, DARA, TARGETED)


def test_every_channel_finds_itself_in_the_audience() -> None:
    for channel, tag in TARGETED:
        addressed = check_alert(ALERT.fields(channel), channel, tag)
        assert (addressed.draft, addressed.root) == (ALERT.draft, ALERT.root)
    assert check_audience(ALERT.draft, ALERT.openings, ALERT.announced().padding).root == ALERT.root


def altered(**changes: Any) -> AlertFields:
    return ALERT.fields(ONE, draft=replace(ALERT.draft, **changes))


def leafed(**changes: Any) -> AlertFields:
    fields = ALERT.fields(ONE)
    return replace(fields, leaf=replace(fields.leaf, **changes))


STRANGE = [
    pytest.param(ALERT.fields(ONE), TWO, TAG, BadSignature, id="another channel"),
    pytest.param(ALERT.fields(ONE), ONE, OTHER, BadSignature, id="another content"),
    pytest.param(ALERT.fields(TWO), ONE, TAG, BadSignature, id="another channel's leaf"),
    pytest.param(leafed(salt=bytes(16)), ONE, TAG, BadSignature, id="another salt"),
    pytest.param(leafed(index=ALERT.fields(ONE).leaf.index ^ 1), ONE, TAG, BadSignature, id="another place"),
    pytest.param(leafed(index=255), ONE, TAG, BadSignature, id="a place outside the audience"),
    pytest.param(leafed(path=[bytes(32)] * 3), ONE, TAG, BadSignature, id="another way up"),
    pytest.param(
        leafed(path=[*ALERT.fields(ONE).leaf.path, bytes(32)]), ONE, TAG, BadSignature, id="a way beyond the top"
    ),
    pytest.param(altered(audience=bytes(32)), ONE, TAG, BadSignature, id="another audience"),
    pytest.param(altered(options=[17, 17]), ONE, TAG, Malformed, id="an option twice"),
    pytest.param(altered(options=[44, 17]), ONE, TAG, Malformed, id="options that tell their order"),
    pytest.param(altered(references=[bytes(32)]), ONE, TAG, Malformed, id="a first alert with references"),
    pytest.param(altered(type=AlertType.CANCEL), ONE, TAG, Malformed, id="a cancel of nothing"),
    pytest.param(
        altered(type=AlertType.UPDATE, references=[b"b" * 32, b"a" * 32]),
        ONE,
        TAG,
        Malformed,
        id="references that fall",
    ),
    pytest.param(altered(deadline=ALERT.draft.not_after + 1), ONE, TAG, Malformed, id="a deadline after the end"),
]


@pytest.mark.parametrize(("fields", "channel", "tag", "error"), STRANGE)
def test_an_alert_for_other_channels_or_content(
    fields: AlertFields, channel: bytes, tag: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        check_alert(fields, channel, tag)


def announced(change: Callable[[list[Opening], list[bytes]], tuple[list[Opening], list[bytes]]]) -> Any:
    return change(list(ALERT.openings), ALERT.announced().padding)


OTHER_AUDIENCES = [
    pytest.param(lambda o, p: (o[:2], [*p, p[0]]), Malformed, id="a channel left out"),
    pytest.param(lambda o, p: (o[:2], sorted([*p, bytes(32)])), BadSignature, id="a channel left out, a leaf made up"),
    pytest.param(lambda o, p: ([*o, Opening(b"4" * 16, bytes(16), TAG)], p[1:]), BadSignature, id="a channel more"),
    pytest.param(lambda o, p: ([o[1], o[0], o[2]], p), Malformed, id="channels that fall"),
    pytest.param(lambda o, p: ([o[0], o[0], o[2]], p), Malformed, id="a channel twice"),
    pytest.param(lambda o, p: (o, p[::-1]), Malformed, id="padding that falls"),
    pytest.param(lambda o, p: (o, p[1:]), Malformed, id="too little padding"),
    pytest.param(lambda o, p: (o, []), Malformed, id="no padding"),
    pytest.param(lambda o, p: ([], p), Malformed, id="no channel"),
    pytest.param(lambda o, p: ([replace(o[0], tag=OTHER), *o[1:]], p), BadSignature, id="other content"),
    pytest.param(lambda o, p: ([replace(o[0], salt=bytes(16)), *o[1:]], p), BadSignature, id="another salt"),
]


@pytest.mark.parametrize(("change", "error"), OTHER_AUDIENCES)
def test_the_whole_audience_is_exactly_what_is_announced(change: Any, error: type[Exception]) -> None:
    openings, padding = announced(change)
    with pytest.raises(error):
        check_audience(ALERT.draft, openings, padding)


def test_the_draft_is_asked_where_it_is_announced_too() -> None:
    with pytest.raises(Malformed, match="options"):
        check_audience(replace(ALERT.draft, options=[2, 1]), ALERT.openings, ALERT.announced().padding)


@pytest.mark.parametrize(("channels", "leaves"), [(1, 8), (7, 8), (8, 8), (9, 16), (17, 32), (256, 256)])
def test_an_audience_tells_no_count(channels: int, leaves: int) -> None:
    openings = [Opening(n.to_bytes(16, "big"), MISSION.random(16), TAG) for n in range(1, channels + 1)]
    audience = Audience.of(openings, MISSION.random)
    assert len(audience.leaves) == leaves
    assert list(audience.leaves) == sorted(audience.leaves)
    assert 1 << len(audience.leaf(openings[0]).path) == leaves
    assert len(audience.padding(openings)) == leaves - channels


def test_a_leaf_tells_nothing_of_the_other_channels() -> None:
    """What a guest holds has no channel's id but its own, and the others' leaves only under salts that it does not hold."""
    held = encode(ALERT.fields(ONE))
    assert TWO not in held
    assert THREE not in held
    guessed = leaf_hash(b"Outrider 1 alert channel" + bytes(16) + TWO + OTHER)
    assert guessed not in ALERT.audience.leaves


def test_signatures() -> None:
    assert ALERT.approval is not None
    verify_writer(ALERT.root, ALERT.writer, CHEN.key.public)
    verify_approval(ALERT.root, ALERT.writer, ALERT.approval, DARA.key.public)


def other_writer() -> Made:
    again = sign_writer(ALERT.root, DARA.certified.hash, DARA.key, NOW)
    return Made(ALERT.draft, ALERT.openings, ALERT.audience, again, ALERT.approval)


def test_a_signature_is_for_one_root_certificate_time_writer_and_part() -> None:
    assert ALERT.approval is not None
    writer, approval = ALERT.writer, ALERT.approval
    wrong: list[Callable[[], None]] = [
        lambda: verify_writer(bytes(32), writer, CHEN.key.public),
        lambda: verify_writer(ALERT.root, writer, DARA.key.public),
        lambda: verify_writer(ALERT.root, replace(writer, time=writer.time + 1), CHEN.key.public),
        lambda: verify_writer(ALERT.root, replace(writer, certificate=bytes(32)), CHEN.key.public),
        lambda: verify_writer(
            ALERT.root, sign_approval(ALERT.root, writer, CHEN.certified.hash, CHEN.key, NOW), CHEN.key.public
        ),
        lambda: verify_approval(bytes(32), writer, approval, DARA.key.public),
        lambda: verify_approval(ALERT.root, writer, approval, CHEN.key.public),
        lambda: verify_approval(ALERT.root, writer, replace(approval, time=NOW), DARA.key.public),
        lambda: verify_approval(ALERT.root, writer, replace(approval, certificate=bytes(32)), DARA.key.public),
        lambda: verify_approval(ALERT.root, other_writer().writer, approval, DARA.key.public),
        lambda: verify_approval(
            ALERT.root, writer, sign_writer(ALERT.root, DARA.certified.hash, DARA.key, NOW), DARA.key.public
        ),
    ]
    for check in wrong:
        with pytest.raises(BadSignature):
            check()


@pytest.mark.parametrize("field", Draft.__struct_fields__)
def test_every_field_is_under_the_root(field: str) -> None:
    """Any change is a new root: who approved before has approved something else."""
    changes = {
        "alert": bytes(16),
        "type": AlertType.UPDATE,
        "exercise": True,
        "references": [bytes(32)],
        "cap": bytes(32),
        "ladder": b"l" * 32,
        "options": [17, 44],
        "not_after": NOW,
        "deadline": NOW,
        "audience": bytes(32),
    }
    assert replace(ALERT.draft, **{field: changes[field]}).root != ALERT.root


def test_what_is_hashed() -> None:
    assert ALERT.root == sha256(b"Outrider 1 alert root" + encode(ALERT.draft)).digest()
    assert cap_commitment(b"s" * 16, b"x") == sha256(b"Outrider 1 alert cap" + b"s" * 16 + b"x").digest()
    assert ladder_commitment(b"s" * 16, b"x") == sha256(b"Outrider 1 alert ladder" + b"s" * 16 + b"x").digest()
    assert len(root_words(ALERT.root).split("-")) == 8


@pytest.mark.parametrize("commitment", [cap_commitment, ladder_commitment])
@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_salt_of_another_length(commitment: Any, length: int) -> None:
    with pytest.raises(Malformed):
        commitment(bytes(length), b"x")


def test_domain_separation_of_everything_that_is_hashed() -> None:
    """No two commitments come out the same over the same bytes."""
    data, salt = b"x" * 32, b"s" * 16
    hashed = {
        sha256(b"Outrider 1 alert root" + salt + data).digest(),
        cap_commitment(salt, data),
        ladder_commitment(salt, data),
        leaf_hash(b"Outrider 1 alert channel" + salt + data),
        leaf_hash(b"Outrider 1 alert padding" + salt + data),
        sha256(b"Outrider 1 alert signing" + salt + data).digest(),
    }
    assert len(hashed) == 6


KEY = SigningKey(bytes(range(32)))
LABELS = [
    WRITER,
    APPROVAL,
    *(kind.label for kind in Kind),
    *("session", "session answer", "gateway refusal", "gateway promise", "card"),
    *("enrolment request", "renewal", "renewal proof"),
]


def test_no_signature_passes_for_another_over_all_pairs_of_labels() -> None:
    """A signature of one part over the bytes of any other: never (ATTACKS 45)."""
    content = encode([ALERT.root, bytes(32), NOW, b""])
    signatures = {label: KEY.sign(label, content) for label in LABELS}
    assert len(signatures) == len(LABELS)
    for one, other in permutations(LABELS, 2):
        with pytest.raises(BadSignature):
            verify(KEY.public, other, content, signatures[one])


RECORDS = [pytest.param(kind, id=kind.__name__.lower()) for kind in (Draft, Leaf, Opening, AlertFields)]


@pytest.mark.parametrize("kind", RECORDS)
def test_one_encoding(kind: Any) -> None:
    read: Callable[[bytes], Any] = reader(kind)
    takes_one_encoding(read, sample(kind))
    takes_one_encoding(read, sample(kind, none=True))
    check_golden("alerts.json", kind.__name__, encode(sample(kind)))


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
def test_every_value_comes_back(kind: Any, data: st.DataObject) -> None:
    read: Callable[[bytes], Any] = reader(kind)
    value = data.draw(values(kind))
    assert read(encode(value)) == value


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(kind: Any, data: bytes) -> None:
    read: Callable[[bytes], Any] = reader(kind)
    try:
        value = read(data)
    except Malformed:
        return
    assert encode(value) == data


def test_golden_signatures() -> None:
    writer = sign_writer(bytes(32), bytes(32), KEY, NOW)
    check_golden("alerts.json", "writer", encode(writer))
    check_golden("alerts.json", "approval", encode(sign_approval(bytes(32), writer, bytes(32), KEY, NOW)))


BEYOND = [
    pytest.param(
        Draft, replace(ALERT.draft, references=[n.to_bytes(32, "big") for n in range(9)]), id="nine references"
    ),
    pytest.param(Draft, replace(ALERT.draft, options=list(range(1, 34))), id="33 options"),
    pytest.param(Draft, replace(ALERT.draft, options=[0]), id="option 0"),
    pytest.param(Draft, replace(ALERT.draft, options=[256]), id="option 256"),
    pytest.param(Leaf, Leaf(bytes(16), 0, [bytes(32)] * 2), id="a way of two"),
    pytest.param(Leaf, Leaf(bytes(16), 0, [bytes(32)] * 9), id="a way of nine"),
    pytest.param(Leaf, Leaf(bytes(16), TARGETS, [bytes(32)] * 8), id="place 256"),
]


@pytest.mark.parametrize(("kind", "value"), BEYOND)
def test_beyond_a_bound(kind: Any, value: object) -> None:
    with pytest.raises(Malformed):
        reader(kind)(encode(value))
