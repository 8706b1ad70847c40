"""Blocks that are not in the language they declare."""

import pytest

from clients.core.cap import open_alert
from clients.core.declared import misdeclared, share
from tests.clients.core.documents import alert, information


def told(*blocks: tuple[str, str]) -> list[str]:
    infos = "".join(
        information(f"<headline>{text}</headline>", language=f"<language>{tag}</language>") for tag, text in blocks
    )
    return list(misdeclared(open_alert(alert(last=infos).encode())))


@pytest.mark.parametrize(
    ("tag", "text", "fits"),
    [
        pytest.param("en", "Crowd at the gate", True, id="English"),
        pytest.param("es-MX", "Multitud en la Cancillería", True, id="Spanish"),
        pytest.param("ru", "Толпа у ворот Chancery", True, id="Russian with a name"),
        pytest.param("ru", "EXERCISE EXERCISE EXERCISE Толпа EXERCISE EXERCISE EXERCISE", True, id="a Russian drill"),
        pytest.param("ru", "Tolpa u vorot", False, id="Russian in Latin letters"),
        pytest.param("en", "Толпа у ворот", False, id="Russian declared as English"),
        pytest.param("fa", "جمعیت", True, id="Persian"),
        pytest.param("ar", "Crowd", False, id="English declared as Arabic"),
        pytest.param("ja", "大使館へ", True, id="Japanese"),
        pytest.param("zh-Hant", "大使館", True, id="Chinese"),
        pytest.param("sr", "Gomila", True, id="Serbian in Latin letters"),
        pytest.param("am", "1 2 3", True, id="no letters at all"),
    ],
)
def test_letters_are_those_of_the_language(tag: str, text: str, fits: bool) -> None:
    assert (told((tag, text)) == []) is fits


def test_two_languages_that_say_the_very_same() -> None:
    assert told(("en", "Crowd at the gate"), ("es", "Crowd at the gate")) == [
        "the es text is the en one word for word: was it translated?"
    ]
    assert told(("en", "Crowd"), ("en", "Crowd")) == []
    assert told(("en", "Crowd"), ("es", "Multitud")) == []


def test_how_much_of_a_text_is_in_a_script() -> None:
    assert share("", ("LATIN",)) == 1
    assert share("ab вг", ("LATIN",)) == 0.5
