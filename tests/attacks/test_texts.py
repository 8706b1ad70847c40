"""Attacks 72 and 73 of the catalogue: texts that deceive the eye, and documents that attack who reads them."""

from __future__ import annotations

import io
import tracemalloc
import unicodedata
from time import process_time
from typing import Final

import pytest

from clients.core.cap import Refusal, check, open_alert
from clients.core.composition import NotComposed, check_house
from clients.core.release import Receiver
from clients.core.text import unfit_name, visible_name
from clients.device import alert_headline, alert_lines
from clients.officer import preview
from clients.officer.check import as_text
from clients.officer.preview import Preview
from clients.views import AlertView
from keys.alert import AlertType
from keys.envelope import Marking
from tests.clients.core.documents import NAMESPACE, alert

TRICKS: Final = {
    "override": "\u202egnp.tset",
    "isolate": "\u2066\u2067x",
    "zero width": "MS\u200bO\u2060",
    "terminal": "&#155;2J",
    "flood of marks": "e" + "\u0301" * 300,
    "tags": "x\U000e0041",
    "line separator": "a\u2028b",
}


def tricky(trick: str) -> bytes:
    """An alert that bears the trick in everything that people are shown."""
    reply = f"<parameter><valueName>response-option</valueName><value>{trick}</value></parameter>"
    info = (
        f"<senderName>{trick}</senderName><headline>{trick}</headline><description>{trick}</description>"
        f"<instruction>{trick}</instruction><contact>{trick}</contact>{reply}"
        f"<area><areaDesc>{trick}</areaDesc><circle>1,2 3</circle></area>"
    )
    return alert(info, scope="Restricted", between=f"<restriction>TLP:AMBER</restriction><note>{trick}</note>").encode()


def view(document: bytes, name: str) -> AlertView:
    texts = open_alert(document).response_options
    return AlertView(
        root=bytes(32),
        words="",
        alert=bytes(16),
        type=AlertType.ALERT,
        cap=document,
        reason=name,
        alone=False,
        exercise=False,
        marking=Marking.AMBER,
        not_after=0,
        options=list(enumerate(texts, 1)),
        references=[],
        writer=bytes(16),
        writer_name=name,
        approver=bytes(16),
        approver_name=name,
        review_due=0,
        reviewed="",
        how="",
        ended_by=b"",
        frozen="",
        mine=False,
    )


def harmless(lines: list[str]) -> None:
    """Nothing that a terminal obeys or that moves what stands beside it; our own isolates aside, and each is closed."""
    for line in lines:
        bare = line.replace("\u2068", "").replace("\u2069", "")
        assert line.count("\u2068") == line.count("\u2069")
        assert not [c for c in bare if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029"], repr(line)
        assert "\u0301" * 5 not in bare


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS.keys())
def test_attack_72_a_text_that_deceives_is_shown_for_what_it_is(trick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # our own colours are none of theirs
    document = tricky(trick)
    name = trick.replace("&#155;", "\u009b")
    harmless(alert_lines(view(document, name)))
    harmless([alert_headline(document)])
    harmless(as_text(check(document), name).split("\n"))
    receiver = Receiver(bytes(16), name, name, True, False, (), ())
    shown = Preview(open_alert(document), [receiver], name, Marking.AMBER, name, None, 0, lambda _: name)
    harmless(preview.lines(shown))


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS.keys())
def test_attack_72_such_a_text_is_not_composed_and_such_a_name_not_given(trick: str) -> None:
    with pytest.raises(NotComposed, match="nobody can see"):
        check_house(open_alert(tricky(trick)), AlertType.ALERT, Marking.AMBER)
    assert unfit_name(trick.replace("&#155;", "\u009b"))


def test_attack_72_look_alike_letters_in_a_name_are_told_of() -> None:
    assert visible_name("Ch\u0435n").endswith(" <mixed scripts>")
    assert unfit_name("Ch\u0435n")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
DOCUMENTS = [
    pytest.param(
        f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>{alert(identifier="&l11;")}', Refusal.DOCTYPE, id="entity bomb"
    ),
    pytest.param(
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>{alert(identifier="&x;")}',
        Refusal.DOCTYPE,
        id="external entity",
    ),
    pytest.param(
        f'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>{alert()}',
        Refusal.DOCTYPE,
        id="parameter entity",
    ),
    pytest.param(f'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">{alert()}', Refusal.DOCTYPE, id="external DTD"),
    pytest.param(
        alert(last='<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'),
        Refusal.SCHEMA,
        id="XInclude",
    ),
    pytest.param(alert(between=f"<note>{'x' * (1 << 20)}</note>"), Refusal.MALFORMED, id="huge text"),
    pytest.param(alert(last="<a>" * 100_000), Refusal.MALFORMED, id="deep"),
    pytest.param(alert(namespace=f"{NAMESPACE} "), Refusal.MALFORMED, id="namespace with a space"),
    pytest.param(alert(namespace="urn:oasis:names:tc:emergency:cap:1.1"), Refusal.NAMESPACE, id="wrong namespace"),
    pytest.param(f"<env>{alert()}</env>", Refusal.NOT_CAP, id="wrapped"),
]


@pytest.mark.parametrize(("document", "refusal"), DOCUMENTS)
def test_attack_73_a_document_that_attacks_its_reader_is_refused_at_little_cost(
    document: str, refusal: Refusal
) -> None:
    data = document.encode()
    tracemalloc.start()
    begun = process_time()
    verdict = check(data)
    spent, (_, peak) = process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.refusal is refusal
    assert spent < 1.0  # s
    assert peak < 8 * 1024 * 1024


def test_attack_73_what_a_signature_wraps_is_not_the_alert() -> None:
    inner = alert(identifier="inner", status="Exercise")
    outer = alert(identifier="outer", last=f'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">{inner}</Signature>')
    opened = open_alert(outer.encode())
    assert (opened.identifier, opened.status) == ("outer", "Actual")
    assert opened.original == outer.encode()


def test_attack_73_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is opened and no socket made while documents that name some are read."""

    def refuse(*_: object, **__: object) -> io.IOBase:
        raise AssertionError("something was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("socket.socket", refuse)
    hint = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x http://127.0.0.1:1/x.xsd"'
    style = '<?xml-stylesheet href="http://127.0.0.1:1/x.xsl" type="text/xsl"?>'
    assert check((style + alert(attributes=hint)).encode()).refusal is None
    for case in DOCUMENTS:
        check(str(case.values[0]).encode())
