"""The blocks a reader is shown, and what is said where they are not in the reader's language."""

import pytest

from clients.core.cap import Alert, open_alert
from tests.clients.core.documents import alert, information


def speaking(*languages: str) -> Alert:
    blocks = "".join(
        information(f"<headline>{n}</headline>", language=f"<language>{tag}</language>")
        for n, tag in enumerate(languages)
    )
    return open_alert(alert(last=blocks).encode())


@pytest.mark.parametrize(
    ("blocks", "wishes", "shown", "fallback"),
    [
        pytest.param(["en", "es"], ["es"], "1", "", id="theirs"),
        pytest.param(["en", "es", "en"], ["en-GB"], "02", "", id="the whole series"),
        pytest.param(["en", "es", "ES"], ["es"], "12", "", id="a series however its tag is written"),
        pytest.param(["en", "fr"], ["de", "fr"], "1", "", id="the second wish is a wish"),
        pytest.param(["en", "es"], ["de"], "0", "not in de: this alert speaks en, es; shown in en", id="English"),
        pytest.param(
            ["es", "fr"], ["de", "nl"], "0", "not in de: this alert speaks es, fr; shown in es", id="the first"
        ),
        pytest.param(["es"], [], "0", "", id="no wish, so nothing missed"),
    ],
)
def test_a_reader_gets_the_series_and_is_told_of_a_fallback(
    blocks: list[str], wishes: list[str], shown: str, fallback: str
) -> None:
    chosen = speaking(*blocks).chosen(wishes)
    assert chosen is not None
    assert "".join(info.headline for info in chosen.blocks) == shown
    assert chosen.fallback == fallback


def test_without_blocks_there_is_nothing_to_choose() -> None:
    assert open_alert(alert().encode()).chosen(["en"]) is None


@pytest.mark.parametrize("made", ["machine", "human"])
def test_a_translation_says_how_it_was_made(made: str) -> None:
    told = f"<parameter><valueName>translation</valueName><value>{made}</value></parameter>"
    assert open_alert(alert(told).encode()).infos[0].translation == made
    assert open_alert(alert("").encode()).infos[0].translation == ""


def replying(*languages: tuple[str, tuple[str, ...]]) -> Alert:
    blocks = "".join(
        information(
            "".join(
                f"<parameter><valueName>response-option</valueName><value>{reply}</value></parameter>"
                for reply in replies
            ),
            language=f"<language>{tag}</language>",
        )
        for tag, replies in languages
    )
    return open_alert(alert(last=blocks).encode())


@pytest.mark.parametrize(
    ("blocks", "wishes", "offered"),
    [
        pytest.param(
            [("en", ("SAFE", "HELP")), ("es", ("A SALVO", "AYUDA"))], ["es"], ("A SALVO", "AYUDA"), id="theirs"
        ),
        pytest.param(
            [("en", ("SAFE", "HELP")), ("es", ("A SALVO", "AYUDA"))], ["de"], ("SAFE", "HELP"), id="the first"
        ),
        pytest.param(
            [("en", ("SAFE", "HELP")), ("es", ("SÍ",))], ["es"], ("SAFE", "HELP"), id="not as many: the first"
        ),
        pytest.param([("en", ("SAFE", "HELP")), ("es", ())], ["es"], ("SAFE", "HELP"), id="none in theirs"),
        pytest.param([("en", ())], ["en"], (), id="none at all"),
    ],
)
def test_replies_are_offered_in_the_readers_language(
    blocks: list[tuple[str, tuple[str, ...]]], wishes: list[str], offered: tuple[str, ...]
) -> None:
    assert replying(*blocks).options_for(wishes) == offered
