"""Half a megabyte of any shape is judged for what it is, bombs included. How long that takes, `tests.bench.cap` prints."""

import pytest

from clients.core.cap import check
from tests.clients.core.documents import alert, area, information

CORNERS = " ".join(f"{10 + n % 7}.{n % 1000:04},{20 + n % 5}.{n % 997:04}" for n in range(30_000))
LARGE = [
    pytest.param(area(f"<polygon>{CORNERS} {CORNERS.split()[0]}</polygon>"), (), id="one polygon of 30,000 corners"),
    pytest.param(area("<polygon>1,1 1,2 2,2 1,1</polygon>" * 15_000), (), id="15,000 polygons"),
    pytest.param(alert(f"<description>{'word &lt;x ' * 45_000}</description>"), (), id="a long description"),
    pytest.param(alert("", last=information() * 3_000), (), id="3,000 blocks"),
    pytest.param(alert(between=f"<addresses>{'a ' * 250_000}</addresses>", scope="Private"), (), id="a long list"),
    pytest.param(
        alert(between=f"<references>{'a,b,2026-10-14T15:00:00-00:00 ' * 16_000}</references>"), (), id="references"
    ),
    pytest.param(alert(between=f"<note>{'&#65;' * 95_000}</note>"), (), id="characters by number"),
    pytest.param(alert(last="<!-- -->" * 60_000), (), id="comments"),
    pytest.param(alert("<web>" + "a:" * 240_000 + "</web>"), (), id="a long uri"),
    pytest.param(
        alert(attributes="".join(f' a{n}="1"' for n in range(40_000))), ("unexpected-attribute",), id="attributes"
    ),
    pytest.param("<!DOCTYPE a [" + "<!ENTITY a 'aaaa'>" * 25_000, ("doctype",), id="a bomb of entities"),
]


@pytest.mark.parametrize(("document", "errors"), LARGE)
def test_half_a_megabyte(document: str, errors: tuple[str, ...]) -> None:
    assert 300_000 < len(document.encode()) < 600_000
    assert check(document.encode()).errors == errors
