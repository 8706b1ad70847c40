"""Envelopes: what a header claims, what a run proves, and that no kind passes for another."""

from collections.abc import Callable
from hashlib import sha256
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keys.alert import AlertFields, AlertType, Draft, Leaf, Signing
from keys.canonical import encode
from keys.envelope import (
    CHAINED,
    CONTEXT_LIMIT,
    ENCRYPTED,
    HEADER_LIMIT,
    NOTHING,
    PUBLISHED,
    RUN_LIMIT,
    Claimed,
    Context,
    Entry,
    Envelope,
    Header,
    Heard,
    Kind,
    Marking,
    Precedence,
    authenticated_data,
    check_body,
    peek,
    read,
    read_entry,
    rolling,
    seal,
    verify_run,
)
from keys.errors import BadSignature, Malformed
from keys.franking import application_data, franking_tag, open_application_data
from keys.identity import SigningKey
from tests.keys.goldens import check_golden
from tests.keys.shapes import all_refused, almost, sample, takes_one_encoding, values

KEY = SigningKey(bytes(range(32)))
STRANGER = SigningKey(bytes(range(1, 33)))
DEVICE, CHANNEL = b"D" * 16, b"C" * 16
NOW = 1_790_000_000_000
BODY = b"body"
FIELDS: AlertFields = sample(AlertFields)


def context(kind: Kind = Kind.APPLICATION, **changes: Any) -> Context:
    """A sound context of a kind, the third of its device."""
    sound = Context(
        version=1,
        kind=kind,
        device=DEVICE,
        channel=CHANNEL,
        epoch=4,
        number=3,
        attempt=0,
        previous=b"P" * 32,
        heard=Heard(7, b"R" * 32),
        time=NOW,
        precedence=Precedence.ROUTINE,
        marking=Marking.AMBER,
        expires=0,
        franking=b"F" * 32 if kind in ENCRYPTED else b"",
        alert=FIELDS if kind is Kind.ALERT else None,
    )
    return replace(sound, **changes)


def sealed(kind: Kind = Kind.APPLICATION, key: SigningKey | None = KEY, **changes: Any) -> Envelope:
    return seal(context(kind, **changes), BODY, key)


def of_kind(kind: int) -> Envelope:
    made = replace(context(Kind.CHARTER), kind=kind)
    return Envelope(encode(Header(encode(made), len(BODY), sha256(BODY).digest())), bytes(64))


def run_of(length: int, kind: Kind = Kind.APPLICATION) -> list[Claimed]:
    """A sound run: only the last one is signed."""
    claimed: list[Claimed] = []
    previous = b"P" * 32
    for n in range(length):
        envelope = sealed(kind, KEY if n == length - 1 else None, number=3 + n, previous=previous)
        previous = envelope.link
        claimed.append(read(envelope))
    return claimed


KINDS = [pytest.param(kind, id=kind.name.lower().replace("_", " ")) for kind in Kind]


@pytest.mark.parametrize("kind", KINDS)
def test_seal_read_verify(kind: Kind) -> None:
    envelope = sealed(kind)
    claimed = read(envelope)
    (verified,) = verify_run([claimed], KEY.public)
    assert verified.context == context(kind)
    assert verified.header_hash == sha256(envelope.header).digest()
    check_body(verified, BODY)


@pytest.mark.parametrize("kind", KINDS)
def test_golden(kind: Kind) -> None:
    check_golden("envelopes.json", kind.name, encode(sealed(kind)))


def test_no_kind_passes_for_another() -> None:
    """Over all pairs: the signature of one kind under the header of another, and the label of one for the other."""
    labels = {kind: kind.label for kind in Kind}
    assert len(set(labels.values())) == len(Kind)
    envelopes = {kind: sealed(kind) for kind in Kind}
    for one, other in permutations(Kind, 2):
        with pytest.raises(BadSignature):
            verify_run([read(Envelope(envelopes[one].header, envelopes[other].signature))], KEY.public)
        mislabelled = Envelope(envelopes[one].header, KEY.sign(other.label, envelopes[one].header))
        with pytest.raises(BadSignature):
            verify_run([read(mislabelled)], KEY.public)


def test_a_header_goes_with_the_label_of_its_own_context() -> None:
    for one, other in permutations(Kind, 2):
        header = read(sealed(one)).header
        claimed = read(Envelope(encode(replace(header, context=encode(context(other)))), sealed(one).signature))
        with pytest.raises(BadSignature):
            verify_run([claimed], KEY.public)


CONTRADICTIONS = [
    pytest.param(sealed(Kind.APPLICATION, franking=b""), id="an application without a franking tag"),
    pytest.param(sealed(Kind.ALERT, franking=b""), id="an alert without a franking tag"),
    pytest.param(sealed(Kind.ACK, franking=b"F" * 32), id="a franking tag where there is no content"),
    pytest.param(sealed(Kind.APPLICATION, franking=b"F" * 31), id="a franking tag of 31 bytes"),
    pytest.param(sealed(Kind.ACK, franking=b"F"), id="a franking tag of one byte"),
    pytest.param(sealed(Kind.APPLICATION, franking=b"F" * 33), id="a franking tag of 33 bytes"),
    pytest.param(sealed(Kind.ALERT, alert=None), id="an alert without its fields"),
    pytest.param(sealed(Kind.ACK, alert=FIELDS), id="alert fields on an ack"),
    pytest.param(sealed(previous=NOTHING), id="the third of a device has something before it"),
    pytest.param(sealed(number=1), id="the first of a device has nothing before it"),
    pytest.param(sealed(heard=Heard(0, b"R" * 32)), id="heard nothing, and yet a rolling hash"),
    pytest.param(sealed(heard=Heard(7, NOTHING)), id="heard something, and no rolling hash"),
    pytest.param(sealed(version=2), id="version 2"),
    pytest.param(sealed(version=0), id="version 0"),
    pytest.param(sealed(number=0), id="number 0"),
    pytest.param(sealed(attempt=256), id="attempt 256"),
    pytest.param(sealed(device=b"D" * 15), id="a device id of 15 bytes"),
    pytest.param(sealed(channel=b"C" * 17), id="a channel id of 17 bytes"),
    pytest.param(sealed(epoch=2**53 + 1), id="an epoch over 2^53"),
    pytest.param(sealed(time=253_402_300_800_000), id="a time after the year 9999"),
    pytest.param(sealed(precedence=4), id="no such precedence"),
    pytest.param(sealed(marking=5), id="no such marking"),
    pytest.param(of_kind(0), id="no kind"),
    pytest.param(of_kind(max(Kind) + 1), id="a kind not listed"),
    pytest.param(Envelope(sealed().header, sealed().signature[:63]), id="a signature of 63 bytes"),
    pytest.param(Envelope(sealed().header, sealed().signature + b"\x00"), id="a signature of 65 bytes"),
    pytest.param(Envelope(sealed().header, b"\x00"), id="a signature of one byte"),
    pytest.param(Envelope(b"", b""), id="no header"),
    pytest.param(Envelope(encode(Header(bytes(CONTEXT_LIMIT + 1), 0, NOTHING)), b""), id="a context over its limit"),
    pytest.param(Envelope(bytes(HEADER_LIMIT + 1), b""), id="a header over its limit"),
]


@pytest.mark.parametrize("envelope", CONTRADICTIONS)
def test_what_no_envelope_can_claim(envelope: Envelope) -> None:
    with pytest.raises(Malformed):
        read(envelope)


@pytest.mark.parametrize("kind", [pytest.param(k, id=k.name) for k in Kind if k not in CHAINED])
def test_every_other_kind_carries_its_own_signature(kind: Kind) -> None:
    with pytest.raises(Malformed, match="carries its own signature"):
        read(sealed(kind, None))


def test_one_encoding_of_the_header() -> None:
    header = read(sealed()).header
    all_refused(lambda data: read(Envelope(data, b"")), almost(header))


@pytest.mark.parametrize("kind", [Kind.APPLICATION, Kind.ALERT, Kind.RECEIPT])
def test_one_encoding_of_the_context(kind: Kind) -> None:
    signature = b"" if kind in CHAINED else bytes(64)
    wrapped = ((name, encode(Header(data, 4, bytes(32)))) for name, data in almost(context(kind)))
    all_refused(lambda data: read(Envelope(data, signature)), wrapped)


@given(st.binary(max_size=300), st.binary(max_size=70))
def test_arbitrary_headers(header: bytes, signature: bytes) -> None:
    with pytest.raises(Malformed):
        read(Envelope(header, signature))


@given(st.binary(max_size=300))
def test_arbitrary_contexts(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(Envelope(encode(Header(data, 0, NOTHING)), b""))


@given(values(Context))
def test_every_context_comes_back_or_contradicts_itself(made: Context) -> None:
    envelope = seal(made, BODY, KEY)
    try:
        claimed = read(envelope)
    except Malformed:
        return
    assert claimed.context == made
    assert claimed.header.context == encode(made)


@pytest.mark.parametrize("length", [1, 2, RUN_LIMIT])
@pytest.mark.parametrize("kind", sorted(CHAINED))
def test_a_run_is_signed_once(length: int, kind: Kind) -> None:
    verified = verify_run(run_of(length, kind), KEY.public)
    assert [v.context.number for v in verified] == list(range(3, 3 + length))
    assert sum(len(v.envelope.signature) for v in verified) == 64


def test_kinds_of_a_run_may_mix() -> None:
    first = sealed(Kind.RECEIPT, None)
    second = sealed(Kind.CHECK_IN, None, number=4, previous=first.link)
    third = sealed(Kind.APPLICATION, number=5, previous=second.link)
    assert len(verify_run([read(e) for e in (first, second, third)], KEY.public)) == 3


def changed(run: list[Claimed], place: int, **changes: Any) -> list[Claimed]:
    """The run with one context changed and all that follows sealed anew over it, so that only that one thing is wrong."""
    claimed: list[Claimed] = []
    for n, c in enumerate(run):
        last = n == len(run) - 1
        made = c.context if n == 0 else replace(c.context, previous=claimed[-1].envelope.link)
        made = replace(made, **changes) if n == place else made
        claimed.append(read(seal(made, BODY, KEY if last else None)))
    return claimed


def resigned(run: list[Claimed], place: int, key: SigningKey | None) -> list[Claimed]:
    claimed: list[Claimed] = []
    for n, c in enumerate(run):
        made = c.context if n == 0 else replace(c.context, previous=claimed[-1].envelope.link)
        old = KEY if n == len(run) - 1 else None
        claimed.append(read(seal(made, BODY, key if n == place else old)))
    return claimed


RUN = run_of(4)
WRONG_RUNS = [
    pytest.param([], Malformed, "1 to 64", id="empty"),
    pytest.param(run_of(65), Malformed, "1 to 64", id="65 envelopes"),
    pytest.param(RUN[:3], Malformed, "nobody has signed", id="the signed one cut off"),
    pytest.param(RUN[:1], Malformed, "nobody has signed", id="one unsigned envelope"),
    pytest.param([RUN[0], RUN[2], RUN[3]], Malformed, "rise by one", id="one left out"),
    pytest.param([RUN[1], RUN[0], RUN[2], RUN[3]], Malformed, "rise by one", id="two swapped"),
    pytest.param([RUN[0], RUN[0], *RUN[1:]], Malformed, "rise by one", id="one twice"),
    pytest.param(changed(RUN, 1, device=b"E" * 16), Malformed, "one device", id="an envelope of another device"),
    pytest.param(changed(RUN, 3, channel=b"X" * 16), Malformed, "one device", id="an envelope in another channel"),
    pytest.param(changed(RUN, 3, number=7), Malformed, "rise by one", id="a number skipped"),
    pytest.param(changed(RUN, 2, number=4), Malformed, "rise by one", id="a number repeated"),
    pytest.param(changed(RUN, 2, previous=b"Q" * 32), BadSignature, "chain", id="another chain"),
    pytest.param(resigned(RUN, 1, KEY), Malformed, "only the last", id="two signatures"),
    pytest.param(resigned(RUN, 1, STRANGER), Malformed, "only the last", id="a stranger's signature inside"),
    pytest.param(resigned(RUN, 3, STRANGER), BadSignature, "does not hold", id="closed by a stranger"),
    pytest.param([*RUN[:3], read(sealed(number=6, previous=b"Q" * 32))], BadSignature, "chain", id="another end"),
    pytest.param(changed(RUN, 3, kind=Kind.ACK, franking=b""), Malformed, "run of its own", id="closed by an ack"),
]


@pytest.mark.parametrize(("run", "error", "why"), WRONG_RUNS)
def test_runs_that_are_none(run: list[Claimed], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        verify_run(run, KEY.public)


def test_one_changed_byte_anywhere_in_a_run_is_noticed() -> None:
    for place, claimed in enumerate(run_of(3)):
        for at in range(len(claimed.envelope.header)):
            run = run_of(3)
            header = bytearray(claimed.envelope.header)
            header[at] ^= 1
            envelopes = [c.envelope for c in run]
            envelopes[place] = Envelope(bytes(header), claimed.envelope.signature)
            with pytest.raises((Malformed, BadSignature)):
                verify_run([read(e) for e in envelopes], KEY.public)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(BODY[:-1], id="cut"),
        pytest.param(BODY + b"\x00", id="a byte more"),
        pytest.param(b"bodY", id="another"),
    ],
)
def test_another_body(body: bytes) -> None:
    with pytest.raises(BadSignature):
        check_body(read(sealed()), body)


def test_a_length_that_lies() -> None:
    header = encode(Header(encode(context()), len(BODY) + 1, sha256(BODY).digest()))
    with pytest.raises(BadSignature):
        check_body(read(Envelope(header, b"")), BODY)


def test_hashes_are_what_the_design_says() -> None:
    envelope = sealed()
    assert envelope.link == sha256(envelope.header + envelope.signature).digest()
    assert rolling(NOTHING, envelope.header) == sha256(NOTHING + sha256(envelope.header).digest()).digest()
    label = b"Outrider 1 authenticated data"
    assert context().authenticated_data() == sha256(label + encode(context())).digest()
    assert context().authenticated_data() == authenticated_data(read(envelope).header.context)


def test_every_field_of_the_context_is_authenticated() -> None:
    fields = {
        "kind": Kind.RECEIPT,
        "device": bytes(16),
        "channel": bytes(16),
        "epoch": 5,
        "number": 4,
        "attempt": 1,
        "previous": bytes(32),
        "heard": Heard(8, b"R" * 32),
        "time": NOW + 1,
        "precedence": Precedence.FLASH,
        "marking": Marking.RED,
        "expires": 1,
        "franking": b"G" * 32,
        "alert": FIELDS,
    }
    assert {"version", *fields} == set(Context.__struct_fields__)
    made = {replace(context(), **{name: value}).authenticated_data() for name, value in fields.items()}
    assert len(made | {context().authenticated_data()}) == len(fields) + 1


SALT, CONTENT = b"S" * 16, b"at east gate, vehicle clear"


def test_franking() -> None:
    tag = franking_tag(SALT, CONTENT)
    data = application_data(SALT, CONTENT)
    assert data == SALT + CONTENT
    assert open_application_data(data, tag) == CONTENT
    check_golden("keys.json", "franking tag", tag)


@pytest.mark.parametrize(
    ("data", "tag"),
    [
        pytest.param(SALT + b"other", franking_tag(SALT, CONTENT), id="other content"),
        pytest.param(b"T" * 16 + CONTENT, franking_tag(SALT, CONTENT), id="another salt"),
        pytest.param(SALT + CONTENT, franking_tag(SALT, CONTENT)[:31], id="a tag cut"),
        pytest.param(SALT + CONTENT, b"", id="no tag"),
        pytest.param(SALT + CONTENT, bytes(32), id="another tag"),
        pytest.param(SALT[:15], b"", id="less than a salt"),
        pytest.param(b"", b"", id="nothing"),
    ],
)
def test_content_that_the_header_does_not_commit_to(data: bytes, tag: bytes) -> None:
    with pytest.raises(BadSignature):
        open_application_data(data, tag)


@pytest.mark.parametrize("make", [franking_tag, application_data])
@pytest.mark.parametrize("length", [0, 15, 17, 64])
def test_a_salt_of_another_length(make: Callable[[bytes, bytes], bytes], length: int) -> None:
    with pytest.raises(Malformed):
        make(bytes(length), CONTENT)


def test_entries_are_one_encoding_each() -> None:
    envelope = sealed()
    entry = Entry(1, NOW, b"N" * 16, CHANNEL, 5, envelope.header, envelope.signature)
    takes_one_encoding(read_entry, entry)
    takes_one_encoding(read_entry, sample(Entry))
    assert entry.envelope == envelope
    check_golden("keys.json", "entry", encode(entry))


@given(values(Entry))
def test_every_entry_comes_back(entry: Entry) -> None:
    if entry.version == 1:
        assert read_entry(encode(entry)) == entry


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_entry(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_entry(data)


def test_the_largest_entry_is_within_the_log_s_limit() -> None:
    largest = Entry(1, NOW, bytes(16), CHANNEL, 2**53, bytes(HEADER_LIMIT), bytes(64))
    assert read_entry(encode(largest)) == largest
    with pytest.raises(Malformed):
        read_entry(encode(replace(largest, seq=0)))


def test_size_goal() -> None:
    """Header and signature of an application envelope: at most 300 bytes, in a long life and for a large body."""
    worst = context(
        epoch=2**32, number=2**31, attempt=255, heard=Heard(2**32, b"R" * 32), expires=NOW, marking=Marking.RED
    )
    envelope = seal(worst, bytes(200_000), KEY)
    assert len(envelope.header) + len(envelope.signature) <= 300
    assert len(sealed().header) + 64 <= 285


def test_the_largest_alert_fits_its_header() -> None:
    largest = AlertFields(
        Draft(
            b"A" * 16, AlertType.UPDATE, True, [b"r" * 32] * 8, b"c" * 32, b"l" * 32, [255] * 32, NOW, NOW, b"a" * 32
        ),
        Leaf(b"s" * 16, 255, [b"p" * 32] * 8),
        Signing(b"w" * 32, NOW, bytes(64)),
        Signing(b"a" * 32, NOW, bytes(64)),
    )
    worst = context(Kind.ALERT, alert=largest, epoch=2**53, number=2**53, attempt=255, expires=NOW, marking=Marking.RED)
    assert read(seal(worst, bytes(2**21), KEY)).context == worst


def test_markings_are_read_exactly_as_first_writes_them() -> None:
    for marking in Marking:
        assert Marking.parse(marking.label) is marking
    assert [m.label for m in Marking] == ["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"]
    assert list(Marking) == sorted(Marking)


@pytest.mark.parametrize("label", ["", "TLP:WHITE", "tlp:red", "TLP:RED ", "RED", "TLP:AMBER_STRICT", "TLP: RED"])
def test_a_label_is_never_guessed(label: str) -> None:
    with pytest.raises(Malformed, match=r"TLP 2\.0"):
        Marking.parse(label)


def test_what_is_published_holds_no_content() -> None:
    assert not PUBLISHED & (ENCRYPTED | CHAINED)
    assert not PUBLISHED & {Kind.ACK, Kind.ENROLMENT, Kind.FRANKING_COMPLAINT, Kind.RECEIPT}


def test_precedences_sort_flash_first() -> None:
    assert sorted(Precedence)[0] is Precedence.FLASH
    assert len(set(product(Precedence, Marking))) == 20


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("epoch", [0, 1, 127])
def test_a_peek_sees_what_reading_finds(kind: Kind, epoch: int) -> None:
    claimed = read(sealed(kind, epoch=epoch))
    assert peek(claimed.envelope.header) == (claimed.context.kind, claimed.context.epoch)


@given(st.binary(max_size=60))
def test_a_peek_at_anything(data: bytes) -> None:
    assert len(peek(data)) == 2
