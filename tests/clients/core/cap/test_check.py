"""CAP: which documents are taken, which are refused and under what name; what a checked alert says."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core import cap
from clients.core.cap import CapRefused, Circle, Code, Point, Reference, Refusal, check, open_alert
from clients.core.cap.tree import LONGEST, MOST_ELEMENTS
from tests.clients.core.documents import NAMESPACE, SAMPLE, alert, area, information, resource
from tests.shared import shared

SAMPLES = [
    "oasiscap-google-paaq-4-mg5a94.cap",
    "oasiscap-ipaws-5e6dd9de023f1930ef6548d9.cap",
    "oasiscap-v1dot2-appendix-adot1.cap",
    "oasiscap-v1dot2-appendix-adot4.cap",
    "defra-getmessage-invalid.cap",
    "made-exercise-note-ok.cap",
]


def test_every_shared_sample_is_tested() -> None:
    with shared("cap/expected.tsv").open(newline="") as table:
        assert sorted(row["file"] for row in csv.DictReader(table, delimiter="\t")) == sorted(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_shared_sample_gets_the_expected_verdict(name: str) -> None:
    with shared("cap/expected.tsv").open(newline="") as table:
        expected = next(row for row in csv.DictReader(table, delimiter="\t") if row["file"] == name)
    verdict = check(shared(f"cap/{name}").read_bytes())
    header = verdict.header
    assert header is not None
    said = f"{verdict.verdict}:{verdict.refusal}" if verdict.refusal else verdict.verdict
    languages = expected["languages"].replace("(default)", "en-US").replace("-", "", expected["languages"] == "-")
    assert said == expected["verdict"]
    assert (header.status, header.msg_type, header.scope) == (
        expected["status"],
        expected["msgType"],
        expected["scope"],
    )
    assert header.infos == int(expected["infos"])
    assert "|".join(header.languages) == languages
    assert list(verdict.warnings) == expected["warnings"].split()
    for code in expected["errors"].split("; ")[1:]:
        assert code in verdict.errors
    if verdict.refusal is None:
        original = shared(f"cap/{name}").read_bytes()
        assert open_alert(original).original == original
        assert open_alert(original).signed == (expected["signed"] == "yes")


SQUARE = "10,20 10,21 11,21 10,20"
UPDATE = {"msg_type": "Update"}
OTHER = "other@mission.example,A-0,2026-10-14T15:00:00-00:00"

TEXT_RULES = [
    pytest.param(alert(identifier="A 1"), "identifier-bad-chars", id="space in identifier"),
    pytest.param(alert(identifier="A,1"), "identifier-bad-chars", id="comma in identifier"),
    pytest.param(alert(identifier="A&lt;1"), "identifier-bad-chars", id="less-than in identifier"),
    pytest.param(alert(identifier="A&amp;1"), "identifier-bad-chars", id="ampersand in identifier"),
    pytest.param(alert(identifier="\nA1\n"), "identifier-bad-chars", id="line ends around identifier"),
    pytest.param(alert(identifier=""), "identifier-bad-chars", id="empty identifier"),
    pytest.param(alert(identifier="A\u200b1"), "identifier-bad-chars", id="zero-width space in identifier"),
    pytest.param(alert(sender="the office"), "sender-bad-chars", id="space in sender"),
    pytest.param(alert(sender="\u202eosm@"), "sender-bad-chars", id="bidi override in sender"),
    pytest.param(alert(scope="Restricted"), "restricted-without-restriction", id="no restriction"),
    pytest.param(
        alert(scope="Restricted", between="<restriction> </restriction>"),
        "restricted-without-restriction",
        id="blank restriction",
    ),
    pytest.param(alert(scope="Private"), "private-without-addresses", id="no addresses"),
    pytest.param(alert(msg_type="Update"), "no-references", id="update of nothing"),
    pytest.param(alert(msg_type="Cancel"), "no-references", id="cancel of nothing"),
    pytest.param(alert(msg_type="Ack"), "no-references", id="ack of nothing"),
    pytest.param(alert(msg_type="Error", between="<note>n</note>"), "no-references", id="error of nothing"),
    pytest.param(alert(between="<references>A-0</references>"), "bad-reference", id="reference of one part"),
    pytest.param(
        alert(between="<references>a,b,2026-10-14T15:00:00Z</references>"), "bad-reference", id="reference in Z"
    ),
    pytest.param(
        alert(between="<references>,b,2026-10-14T15:00:00-00:00</references>"), "bad-reference", id="no sender in it"
    ),
    pytest.param(alert(between=f"<references>{OTHER},x</references>"), "bad-reference", id="reference of four parts"),
    pytest.param(
        alert(between="<references>mso@mission.example,A-1,2026-10-14T15:42:00+00:00</references>", **UPDATE),
        "self-reference",
        id="update of itself",
    ),
    pytest.param(area("<polygon>10,20 10;21 11,21 10,20</polygon>"), "bad-polygon-syntax", id="semicolon in polygon"),
    pytest.param(area("<polygon>1e1,20 10,21 11,21 10,20</polygon>"), "bad-polygon-syntax", id="exponent in polygon"),
    pytest.param(area("<polygon>1,2\u00a01,3 4,5 1,2</polygon>"), "bad-polygon-syntax", id="no-break space in polygon"),
    pytest.param(area("<polygon>10,20 10,21 11,21 11,20</polygon>"), "polygon-open", id="polygon not closed"),
    pytest.param(area("<polygon>10,20 10,21 10,20</polygon>"), "polygon-too-few", id="polygon of three points"),
    pytest.param(area("<polygon/>"), "polygon-too-few", id="polygon of no points"),
    pytest.param(
        area("<polygon>-120.1,38.4 -120.2,38.4 -120.2,38.5 -120.1,38.4</polygon>"),
        "polygon-out-of-range",
        id="longitude first",
    ),
    pytest.param(
        area("<polygon>1,181 1,2 2,2 1,181</polygon>"), "polygon-out-of-range", id="longitude beyond the date line"
    ),
    pytest.param(area("<circle>10,20</circle>"), "bad-circle", id="circle without radius"),
    pytest.param(area("<circle>10,20 -1</circle>"), "bad-circle", id="negative circle"),
    pytest.param(area("<circle>100,20 1</circle>"), "bad-circle", id="circle off the globe"),
    pytest.param(area("<circle/>"), "bad-circle", id="empty circle"),
    pytest.param(area("<ceiling>10</ceiling>"), "ceiling-without-altitude", id="ceiling alone"),
    pytest.param(
        area("<altitude>100.5</altitude><ceiling>100.4</ceiling>"), "ceiling-below-altitude", id="ceiling under floor"
    ),
    pytest.param(resource("<uri>map.png</uri>"), "relative-uri-without-derefuri", id="relative uri alone"),
    pytest.param(resource("<uri>//host/x</uri>"), "relative-uri-without-derefuri", id="no scheme"),
    pytest.param(resource(mime_type="image"), "bad-mimetype", id="mime type without slash"),
    pytest.param(resource(mime_type=""), "bad-mimetype", id="empty mime type"),
    pytest.param(resource(mime_type="a/b/c"), "bad-mimetype", id="mime type with two slashes"),
]


@pytest.mark.parametrize(("document", "code"), TEXT_RULES)
def test_a_text_rule_refuses(document: str, code: str) -> None:
    verdict = check(document.encode())
    assert (verdict.refusal, verdict.errors, verdict.warnings) == (Refusal.TEXT_RULE, (code,), ())
    with pytest.raises(CapRefused) as refused:
        open_alert(document.encode())
    assert (refused.value.refusal, refused.value.errors) == (Refusal.TEXT_RULE, (code,))


WARNINGS = [
    pytest.param(alert("<headline>&lt;b&gt;now&lt;/b&gt;</headline>"), "html-in-text", id="escaped tag"),
    pytest.param(alert("<description><![CDATA[<br/>]]></description>"), "html-in-text", id="tag in CDATA"),
    pytest.param(alert("<instruction>go&amp;nbsp;now</instruction>"), "html-in-text", id="HTML's own entity"),
    pytest.param(alert(between="<references/>"), "empty-references", id="references of nothing"),
    pytest.param(
        alert(between="<restriction>TLP:AMBER</restriction>"), "restriction-without-restricted", id="public restriction"
    ),
    pytest.param(alert(status="Exercise"), "exercise-without-note", id="exercise without a name"),
    pytest.param(
        alert(msg_type="Error", between=f"<references>{OTHER}</references>"), "error-without-note", id="error unsaid"
    ),
    pytest.param(
        alert("<expires>2026-10-14T16:41:59+01:00</expires>"), "expires-before-sent", id="ended a second before"
    ),
]


@pytest.mark.parametrize(("document", "code"), WARNINGS)
def test_a_warning_refuses_nothing(document: str, code: str) -> None:
    verdict = check(document.encode())
    assert (verdict.verdict, verdict.errors, verdict.warnings) == ("accept-with-warnings", (), (code,))
    assert open_alert(document.encode()).identifier == "A-1"


ACCEPTED = [
    pytest.param(alert(), id="no info at all"),
    pytest.param(alert(""), id="one info"),
    pytest.param(area(f"<polygon>{SQUARE}</polygon>"), id="four points"),
    pytest.param(area("<polygon>\n +1.,.5\t1,3\r\n4,5 1.0,0.50 </polygon>"), id="first equals last as a number"),
    pytest.param(area("<polygon>90,180 -90,180 -90,-180 90,180</polygon>"), id="the edge of the map"),
    pytest.param(area("<circle>1,2 0</circle>"), id="a circle that is a point"),
    pytest.param(area("<altitude>5</altitude><ceiling>5</ceiling>"), id="ceiling at the altitude"),
    pytest.param(area("<altitude>5</altitude>"), id="altitude alone"),
    pytest.param(resource("<uri>map.png</uri><derefUri>AAAA</derefUri>"), id="relative uri with its content"),
    pytest.param(resource("<uri>https://mission.example/map.png</uri>"), id="absolute uri"),
    pytest.param(resource("<uri/>"), id="empty uri"),
    pytest.param(resource(mime_type='text/plain; charset="utf-8"'), id="mime type with a parameter"),
    pytest.param(alert("<expires>2026-10-14T15:42:00-00:00</expires>"), id="expires as it is sent"),
    pytest.param(alert("<headline>wind &lt; 5, rain &gt; 3, R&amp;D; &lt;-- here</headline>"), id="signs, not HTML"),
    pytest.param(alert(msg_type="Cancel", between=f"<references>{OTHER}</references>"), id="cancel of another"),
    pytest.param(
        alert(between="<references>mso@mission.example,A-0,2026-10-14T15:00:00-00:00</references>", **UPDATE),
        id="update of one's own earlier alert",
    ),
    pytest.param(alert(last='<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><x/></Signature>'), id="signed"),
    pytest.param("\ufeff" + alert(), id="byte order mark"),
]


@pytest.mark.parametrize("document", ACCEPTED)
def test_accepted_without_a_word(document: str) -> None:
    verdict = check(document.encode())
    assert (verdict.verdict, verdict.details) == ("accept", ())
    assert open_alert(document.encode()).original == document.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "us-ascii", "windows-1252"])
def test_other_character_sets_are_read(encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?>{alert()}'
    assert check(document.encode(encoding)).verdict == "accept"


LAUGHS = '<!DOCTYPE alert [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
DEEP = alert().replace("</alert>", "<a>" * 100_000)
LONG_NAMESPACE = alert(last=f'<s xmlns="{"u" * 100_000}">{"<b/>" * 60_000}</s>')
XINCLUDE = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/hostname"/>'

HOSTILE = [
    pytest.param(b"", "malformed", "not-xml", id="nothing"),
    pytest.param(b"\0", "malformed", "not-xml", id="one NUL"),
    pytest.param(alert(identifier="A\0").encode(), "malformed", "not-xml", id="NUL in a text"),
    pytest.param(alert(identifier="A&#0;").encode(), "malformed", "not-xml", id="NUL by number"),
    pytest.param(alert(identifier="A&#27;").encode(), "malformed", "not-xml", id="escape by number"),
    pytest.param(alert(identifier="&nbsp;").encode(), "malformed", "not-xml", id="HTML's entity"),
    pytest.param(alert(identifier="\u00e9").encode("latin-1"), "malformed", "not-xml", id="not UTF-8"),
    pytest.param(b'{"identifier": "A-1"}', "malformed", "not-xml", id="JSON"),
    pytest.param(alert().encode()[:-1], "malformed", "not-xml", id="cut"),
    pytest.param(alert().encode() * 2, "malformed", "not-xml", id="two documents in one"),
    pytest.param(alert().encode() + b"x", "malformed", "not-xml", id="something after the end"),
    pytest.param(b"x" + alert().encode(), "malformed", "not-xml", id="something before the start"),
    pytest.param(alert(attributes=' a="1" a="2"').encode(), "malformed", "not-xml", id="attribute twice"),
    pytest.param(alert(last="<p:a/>").encode(), "malformed", "not-xml", id="unbound prefix"),
    pytest.param(b'<?xml version="1.0" encoding="utf-7"?>' + alert().encode(), "malformed", "bad-encoding", id="UTF-7"),
    pytest.param(
        f'<?xml version="1.0"{" " * 5000}encoding="zlib"?>'.encode() + alert().encode(),
        "malformed",
        "bad-encoding",
        id="a codec that is no character set, far to the right",
    ),
    pytest.param(
        '<?xml version="1.0" encoding="cp037"?>'.encode("utf-16") + alert().encode("utf-16-le"),
        "malformed",
        "bad-encoding",
        id="another character set than the bytes have",
    ),
    pytest.param(
        b"\xef\xbb\xbf" + f'<?xml version="1.0" encoding="utf-16"?>{alert()}'.encode(),
        "malformed",
        "not-xml",
        id="byte order mark against declaration",
    ),
    pytest.param(b"<?xml " * 170_000 + b">", "malformed", "not-xml", id="declarations only"),
    pytest.param(b" " * (LONGEST + 1), "malformed", "too-large", id="too large"),
    pytest.param((LAUGHS + alert()).encode().ljust(LONGEST + 1), "malformed", "too-large", id="too large, with DTD"),
    pytest.param(DEEP.encode(), "malformed", "too-deep", id="deep"),
    pytest.param(alert(last="<a/>" * MOST_ELEMENTS).encode(), "malformed", "too-many", id="too many elements"),
    pytest.param(LONG_NAMESPACE.encode(), "malformed", "too-long", id="long namespace repeated"),
    pytest.param((LAUGHS + alert(identifier="&b;")).encode(), "doctype", "doctype", id="billion laughs"),
    pytest.param((EXTERNAL + alert(identifier="&x;")).encode(), "doctype", "doctype", id="external entity"),
    pytest.param((LAUGHS + alert()).encode("utf-16"), "doctype", "doctype", id="DTD in UTF-16"),
    pytest.param(b"<!DOCTYPE alert>" + alert().encode(), "doctype", "doctype", id="DOCTYPE of a name only"),
    pytest.param(b"<!DOCTYPE html><html/>", "doctype", "doctype", id="web page"),
    pytest.param(b"<!DOCTYPE alert [<!BROKEN", "doctype", "doctype", id="DOCTYPE, then rubbish"),
    pytest.param(
        b"<!-- c --><?p i?>\n<!DOCTYPE a SYSTEM 'http://x/'>" + b"<a>", "doctype", "doctype", id="DOCTYPE late"
    ),
    pytest.param(f"<feed>{alert()}</feed>".encode(), "not-cap", "not-cap", id="wrapper"),
    pytest.param(b'<feed xmlns="http://www.w3.org/2005/Atom"/>', "not-cap", "not-cap", id="Atom index"),
    pytest.param(b'<rss version="2.0"/>', "not-cap", "not-cap", id="RSS"),
    pytest.param(
        b'<EDXLDistribution xmlns="urn:oasis:names:tc:emergency:EDXL:DE:1.0"/>', "not-cap", "not-cap", id="EDXL"
    ),
    pytest.param(XINCLUDE.encode(), "not-cap", "not-cap", id="XInclude as the root"),
    pytest.param(f'<info xmlns="{NAMESPACE}"/>'.encode(), "not-cap", "not-cap", id="CAP, but no alert"),
    pytest.param(f'<Alert xmlns="{NAMESPACE}"/>'.encode(), "not-cap", "not-cap", id="Alert with a capital"),
    pytest.param(
        alert(namespace="urn:oasis:names:tc:emergency:cap:1.1").encode(), "namespace", "namespace", id="CAP 1.1"
    ),
    pytest.param(alert(namespace="").encode(), "namespace", "namespace", id="no namespace"),
    pytest.param(alert(namespace=NAMESPACE + " ").encode(), "malformed", "not-xml", id="space in the namespace"),
    pytest.param(alert(last=XINCLUDE).encode(), "schema", "unexpected-element", id="XInclude"),
    pytest.param(alert(between=alert()).encode(), "schema", "unexpected-element", id="alert in an alert"),
    pytest.param(
        alert(attributes="".join(f' a{i}="1"' for i in range(70_000))).encode(),
        "schema",
        "unexpected-attribute",
        id="attributes by the thousand",
    ),
    pytest.param(alert(attributes=' xml:base="http://x/"').encode(), "schema", "unexpected-attribute", id="xml:base"),
]


@pytest.mark.parametrize(("document", "refusal", "code"), HOSTILE)
def test_hostile_documents_are_refused_under_their_name(document: bytes, refusal: str, code: str) -> None:
    verdict = check(document)
    assert (verdict.verdict, verdict.refusal, verdict.errors) == ("refuse", refusal, (code,))
    assert verdict.details
    assert len(verdict.details) <= 20
    with pytest.raises(CapRefused):
        open_alert(document)


def test_nothing_in_a_signature_is_taken_for_the_alerts_own() -> None:
    wrapped = (
        f'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><Object>{alert(scope="Private")}</Object></Signature>'
    )
    opened = open_alert(alert(identifier="outer", last=wrapped).encode())
    assert (opened.identifier, opened.scope, opened.signed) == ("outer", "Public", True)
    assert check(alert(last=wrapped).encode()).verdict == "accept"


def test_a_signature_elsewhere_is_out_of_place() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    assert check(area(signature).encode()).errors == ("unexpected-element",)
    assert check(alert(signature).encode()).errors == ("unexpected-element",)


def test_a_signature_stands_last() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    assert check(alert("", between=signature).encode()).errors == ("unexpected-element",)


@given(st.binary(max_size=300))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    assert check(data).refusal in {Refusal.MALFORMED, Refusal.DOCTYPE, Refusal.NOT_CAP, Refusal.NAMESPACE}


@given(st.data())
def test_a_damaged_sample_gets_a_verdict(data: st.DataObject) -> None:
    original = SAMPLE.read_bytes()
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 200)))
    damaged = original[:start] + data.draw(st.binary(max_size=20)) + original[end:]
    verdict = check(damaged)
    if verdict.refusal is None:
        assert open_alert(damaged).original == damaged
        return
    with pytest.raises(CapRefused) as refused:
        open_alert(damaged)
    assert (refused.value.refusal, refused.value.errors) == (verdict.refusal, verdict.errors)


def test_a_sample_cut_anywhere_is_malformed() -> None:
    original = SAMPLE.read_bytes().rstrip()
    assert check(original).verdict == "accept"
    assert {check(original[:length]).refusal for length in range(0, len(original), 7)} == {Refusal.MALFORMED}
    assert check(original[:-1]).refusal == Refusal.MALFORMED


def test_the_demo_alert_says_what_it_should() -> None:
    sample = open_alert(SAMPLE.read_bytes())
    assert check(SAMPLE.read_bytes()).verdict == "accept"
    assert (sample.status, sample.msg_type) == ("Actual", "Alert")
    assert (sample.scope, sample.restriction) == ("Restricted", "TLP:AMBER")
    assert sample.response_options == ("SAFE", "NEED HELP", "CANNOT COMPLY")
    assert all(info.response_options == sample.response_options for info in sample.infos)
    assert [info.language for info in sample.infos] == ["en", "es"]
    assert sample.precedence_is_flash
    assert not sample.is_exercise
    assert sample.sent_at == 1791992520000
    assert sample.incidents == ("Plaza Central march",)
    first = sample.infos[0].areas[0]
    assert first.circles == (Circle(Point(12.1015, -68.9336), 0.4),)
    assert len(first.polygons[0]) == 5


def test_an_alert_holds_what_the_document_says() -> None:
    info = (
        "<eventCode><valueName>SAME</valueName><value>CEM</value></eventCode>"
        "<expires> 2026-10-14T17:42:00+01:00 </expires><headline>1 &lt; 2</headline>"
        "<parameter><valueName>response-option</valueName><value>YES</value></parameter>"
        "<parameter><valueName>response-option</valueName><value>NO</value></parameter>"
        "<parameter><valueName>response-option</valueName><value>YES</value></parameter>"
        "<area><areaDesc>here</areaDesc><geocode><valueName>X</valueName><value>1</value></geocode>"
        "<altitude> 10 </altitude><ceiling>20.5</ceiling></area>"
    )
    between = (
        f'<addresses>one "two three"\n four</addresses><code>a</code><code>b</code><references>{OTHER}</references>'
    )
    opened = open_alert(alert(info, status="Exercise", between=between).encode())
    assert opened.addresses == ("one", "two three", "four")
    assert opened.codes == ("a", "b")
    assert opened.references == (Reference("other@mission.example", "A-0", "2026-10-14T15:00:00-00:00"),)
    assert str(opened.references[0]) == OTHER
    assert opened.is_exercise
    block = opened.infos[0]
    assert (block.language, block.headline, block.event_codes) == ("en-US", "1 < 2", (Code("SAME", "CEM"),))
    assert block.expires == "2026-10-14T17:42:00+01:00"
    assert block.expires_at == opened.sent_at + 3_600_000
    assert block.response_options == ("YES", "NO")
    assert (block.areas[0].altitude, block.areas[0].ceiling) == (10.0, 20.5)
    assert block.areas[0].geocodes == (Code("X", "1"),)


@pytest.mark.parametrize(
    ("urgency", "severity", "is_flash"),
    [
        ("Immediate", "Extreme", True),
        ("Immediate", "Severe", True),
        ("Immediate", "Moderate", False),
        ("Immediate", "Unknown", False),
        ("Expected", "Extreme", False),
        ("Unknown", "Severe", False),
    ],
)
def test_flash_is_immediate_and_extreme_or_severe(urgency: str, severity: str, is_flash: bool) -> None:
    document = alert("", last=information(urgency=urgency, severity=severity))
    assert open_alert(document.encode()).precedence_is_flash is is_flash


@pytest.mark.parametrize(
    ("blocks", "wishes", "got"),
    [
        pytest.param(["en", "es"], ["es"], "es", id="as wished"),
        pytest.param(["en", "es"], ["ES-mx"], "es", id="the language without its region"),
        pytest.param(["en", "es-US", "es-MX"], ["es-MX"], "es-MX", id="the region itself first"),
        pytest.param(["en", "es-US"], ["es"], "es-US", id="some region of the language"),
        pytest.param(["en", "est"], ["es"], "en", id="another language that begins alike"),
        pytest.param(["en", "es", "fr"], ["de", "fr", "es"], "fr", id="the second wish"),
        pytest.param(["es", "en-GB"], ["de"], "en-GB", id="English when none is there"),
        pytest.param(["es", "fr"], ["de"], "es", id="the first block when there is no English"),
        pytest.param(["es", "fr"], [], "es", id="no wish"),
        pytest.param(["es", ""], ["en"], "en-US", id="no language is American English"),
    ],
)
def test_the_reader_gets_the_block_in_a_language_of_theirs(blocks: list[str], wishes: list[str], got: str) -> None:
    infos = "".join(information(language=f"<language>{block}</language>" if block else "") for block in blocks)
    info = open_alert(alert(last=infos).encode()).info_for(wishes)
    assert info is not None
    assert info.language == got


def test_an_alert_without_blocks_has_none_for_anybody() -> None:
    assert open_alert(alert().encode()).info_for(["en"]) is None
    assert open_alert(alert().encode()).response_options == ()


def test_a_refused_document_tells_all_that_is_wrong_with_it() -> None:
    verdict = check(alert(identifier="A 1", status="actual", scope="Restricted", between="<headline/>").encode())
    assert verdict.refusal is Refusal.SCHEMA
    assert verdict.errors == (
        "unexpected-element",
        "bad-value",
        "identifier-bad-chars",
        "restricted-without-restriction",
    )
    assert verdict.header is not None
    assert (verdict.header.identifier, verdict.header.status) == ("A 1", "actual")


def test_the_public_names_are_there() -> None:
    assert all(hasattr(cap, name) for name in cap.__all__)
