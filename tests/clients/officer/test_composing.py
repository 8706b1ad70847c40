"""Journey 2, steps 1 and 7 to 10: an officer composes an alert, sees whom it reaches, and is refused what may not be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from clients.core import cap, composing, playbook
from clients.core.cap.chains import is_all_clear
from clients.core.composing import Wish
from clients.core.composition import DRILL, NotComposed
from clients.core.errors import Unknown
from clients.core.templates import Template
from clients.officer.template import examples
from keys.alert import AlertType
from keys.envelope import Marking
from tests.clients.core.documents import SAMPLE, alert
from tests.clients.core.test_templates import SOURCE
from tests.clients.officer.conftest import Post
from tests.clients.programs import Ran

CROWD = (
    "--template",
    "crowd-threat",
    "--set",
    "place=Plaza Central",
    "--set",
    "what=Stones.",
    "--set",
    "action=Stay in.",
)
RESIDENCE = ("--to", "residence alerts")
LIAISON = ("--to", "liaison alerts")


def new(post: Post, *arguments: object, who: str = "Chen") -> Ran:
    return post(who, "alert", "new", *arguments)


def composed(post: Post, *arguments: object) -> dict[str, Any]:
    ran = new(post, *arguments, "--json")
    assert ran.code == 0, ran.err
    return dict(ran.object)


def document(post: Post, draft: str) -> cap.Alert:
    with post.station("Chen") as chen:
        return cap.open_alert(composing.find(chen.vault, draft)[1].cap)


def test_the_preview_says_it_all_and_fits_a_small_screen(post: Post) -> None:
    ran = new(
        post,
        *CROWD,
        *RESIDENCE,
        *LIAISON,
        *("--release", "joint cordon, agreement valid to 31 Dec"),
        *("--set", "es:what=Piedras.", "--set", "es:action=Adentro."),
        *("--area", "circle 12.1015,-68.9336 0.4", "--respond", "CORDON SET", "--respond", "DELAYED"),
    )
    assert ran.code == 0, ran.err
    for part in (
        "template crowd-threat version 1",
        "FLASH  TLP:AMBER",
        "[en] Hostile crowd at Plaza Central",
        "[es] (machine translation) Multitud hostil en Plaza Central",
        "answers: CORDON SET / DELAYED",
        "circle of 0.4 km around 12.1015 N 68.9336 W",
        "to 5 people in 2 channels, 1 OUTSIDE Meridian",
        "Meridian (4): Ayo, Chen (you), Dara, Lena",
        "! OUTSIDE Hostpol (1): Emil",
        "released to them because: joint cordon, agreement valid to 31 Dec",
        "no ladder",
        "next: outrider alert submit",
    ):
        assert part in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out  # no terminal, no colours
    assert "fr:" not in ran.err, "nobody has asked for French"


def test_a_draft_is_kept_shown_again_and_thrown_away(post: Post) -> None:
    made = composed(post, *CROWD, *RESIDENCE, "--lasts", "90m")
    listed = {str(d["draft"]): d for d in post("Chen", "alert", "draft", "list", "--json").objects}
    assert listed[made["draft"]]["template"] == "crowd-threat"
    again = post("Chen", "alert", "draft", "show", made["draft"][:10], "--json").object
    assert again["receivers"] == made["receivers"]
    assert "Plaza Central" in post("Chen", "alert", "draft", "list").out
    assert post("Chen", "alert", "draft", "drop", made["draft"]).code == 0
    gone = post("Chen", "alert", "draft", "show", made["draft"])
    assert (gone.code, "alert draft list" in gone.err) == (2, True)


def test_a_talk_channel_stands_for_the_alert_channel_beside_it(post: Post) -> None:
    made = post("Chen", "channel", "create", "--class", "detail", "--marking", "AMBER", "--purpose", "gate", "--json")
    assert made.code == 0, made.err
    beside = made.object["alerts"]
    assert beside
    assert composed(post, *CROWD, "--to", "gate")["channels"] == [beside]


def test_receivers_are_people_with_outsiders_apart(post: Post) -> None:
    made = composed(post, *CROWD, *RESIDENCE, *LIAISON, "--release", "joint cordon")
    assert (made["people"], made["outside"]) == (5, 1)
    assert [r["name"] for r in made["receivers"]] == ["Ayo", "Chen", "Dara", "Lena", "Emil"]
    assert [r["name"] for r in made["receivers"] if r["outside"]] == ["Emil"]
    assert [len(r["channels"]) for r in made["receivers"]] == [1, 2, 2, 1, 1]


REFUSED = [
    pytest.param((*CROWD[:4], *RESIDENCE), 1, "slot what is empty (What is happening?", id="an empty slot"),
    pytest.param((*CROWD, *RESIDENCE, "--language", "es"), 1, "slot what has no words in es", id="a language asked for"),
    pytest.param((*CROWD, *RESIDENCE, "--set", "colour=red"), 2, "has no slot 'colour'", id="a slot unknown"),
    pytest.param(
        (*CROWD, *LIAISON, "--marking", "AMBER+STRICT"),
        6,
        "TLP:AMBER+STRICT stays in Meridian, and people of Hostpol would get it. Leave liaison alerts out",
        id="AMBER+STRICT to another organisation",
    ),
    pytest.param((*CROWD, *LIAISON), 6, "TLP:AMBER goes to Hostpol: say why", id="AMBER to outsiders without a reason"),
    pytest.param((*CROWD, *RESIDENCE, "--marking", "RED"), 6, "named one by one", id="RED to a channel"),
    pytest.param((*CROWD, *RESIDENCE, "--marking", "WHITE"), 2, "no TLP 2.0 label", id="WHITE"),
    pytest.param((*CROWD, *RESIDENCE, "--marking", "AMBER+STRICT"), 6, "goes up to TLP:AMBER", id="above the channel"),
    pytest.param((*CROWD, "--to", "residence"), 6, "carries talk", id="a channel for talk"),
    pytest.param((*CROWD, "--to", "nowhere"), 2, "no channel 'nowhere'", id="no such channel"),
    pytest.param(CROWD, 2, "--to CHANNEL", id="nobody"),
    pytest.param((*RESIDENCE,), 2, "--template NAME, or from --cap FILE", id="nothing to say"),
    pytest.param((*CROWD, *RESIDENCE, "--template", "mob"), 2, "no template 'mob' here", id="a template unknown"),
    pytest.param((*CROWD, *RESIDENCE, "--area", "0.4 km"), 1, "is no area", id="an area that is none"),
    pytest.param((*CROWD, *RESIDENCE, "--lasts", "60d"), 1, "at most 30 days", id="for ever"),
    pytest.param((*CROWD, *RESIDENCE, "--expires", "2020-01-01"), 1, "over before it is sent", id="over already"),
    pytest.param((*CROWD, *RESIDENCE, "--set", "place=a\u202eb"), 1, "nobody can see (U+202E)", id="an override"),
    pytest.param((*CROWD, *RESIDENCE, "--respond", "GO\u200b"), 1, "nobody can see (U+200B)", id="zero width in a reply"),
    pytest.param((*CROWD, *RESIDENCE, "--respond", "es:SÍ", "--set", "es:what=a", "--set", "es:action=b"), 1, "same replies", id="replies in Spanish only"),
    pytest.param(("--template", "all-clear", *RESIDENCE), 1, "ends another alert", id="an all-clear of nothing"),
    pytest.param(("--cap", SAMPLE, *RESIDENCE, "--severity", "Extreme"), 2, "--severity can't change it", id="changing a file"),
    pytest.param(("--cap", SAMPLE, *RESIDENCE, "--marking", "GREEN"), 1, "must be the same", id="another marking than the file's"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "why"), REFUSED)
def test_what_may_not_be_is_refused_and_says_what_to_do(
    post: Post, arguments: tuple[object, ...], code: int, why: str
) -> None:
    ran = new(post, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert why in " ".join(ran.err.split())


def test_an_agent_composes_nothing(post: Post) -> None:
    ran = new(post, *CROWD, *RESIDENCE, who="Ayo")
    assert ran.code == 6
    assert "the charter does not allow alert" in ran.err


def test_a_drill_is_a_drill_everywhere(post: Post) -> None:
    made = composed(post, "--template", "shelter", "--set", "place=Gate 2", *RESIDENCE, "--exercise", "IRON GATE")
    drill = document(post, made["draft"])
    assert (made["status"], drill.status, drill.note) == ("Exercise", "Exercise", "IRON GATE")
    for info in drill.infos:
        for text in (info.headline, info.description):
            assert text.startswith(DRILL)
            assert text.endswith(DRILL)
    shown = post("Chen", "alert", "draft", "show", made["draft"])
    assert shown.out.splitlines()[1:3] == [
        "  the template: an example that comes with the program, never tested",
        f"  {DRILL}: IRON GATE",
    ]


def test_a_file_is_kept_to_the_byte(post: Post) -> None:
    made = composed(post, "--cap", SAMPLE, *RESIDENCE)
    with post.station("Chen") as chen:
        draft = composing.find(chen.vault, made["draft"])[1]
        assert draft.cap == SAMPLE.read_bytes()
        frozen = composing.freeze(draft, 1_900_000_000_000)
    assert frozen.cap == SAMPLE.read_bytes()
    assert frozen.options == ("SAFE", "NEED HELP", "CANNOT COMPLY")


def test_what_was_written_here_gets_the_time_of_freezing(post: Post) -> None:
    made = composed(post, *CROWD, *RESIDENCE, "--lasts", "2h")
    with post.station("Chen") as chen:
        draft = composing.find(chen.vault, made["draft"])[1]
    tomorrow = composing.freeze(draft, draft.composed + 86_400_000)
    assert tomorrow.alert.sent_at == (draft.composed + 86_400_000) // 1000 * 1000
    assert tomorrow.not_after == tomorrow.alert.sent_at + 2 * 3_600_000
    assert tomorrow.alert.identifier == cap.open_alert(draft.cap).identifier


def test_a_file_with_a_broken_rule_is_refused(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "broken.cap"
    file.write_text(alert("", scope="Restricted"))
    ran = new(post, "--cap", file, *RESIDENCE)
    assert ran.code == 1
    assert "restricted-without-restriction" in ran.err


def test_a_ladder_is_told_in_words_and_checked_before_it_is_needed(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "ladder.toml"
    rungs = '[[rung]]\nafter = "2m"\n[[rung]]\nafter = "5m"\nroad = "app"\npeople = ["Lena"]\n'
    file.write_text(f'stop = "all"\n{rungs}')
    ran = new(post, *CROWD, *RESIDENCE, "--ladder", file)
    assert ran.code == 0, ran.err
    words = " ".join(ran.out.split())
    assert "2 min after the alert: everybody silent, on their devices" in words
    assert "5 min after the one before (7 min in all): Lena, on their devices" in words
    assert "the ladder has no fallback" in words
    file.write_text(f'stop = "all"\n{rungs.replace(chr(34) + "app" + chr(34), chr(34) + "sms" + chr(34))}')
    refused = new(post, *CROWD, *RESIDENCE, "--ladder", file)
    assert (refused.code, "goes by 'sms'; this gateway's roads are app" in refused.err) == (1, True)
    file.write_text(f'stop = "all"\n{rungs}')
    late = new(post, *CROWD, *RESIDENCE, "--ladder", file, "--lasts", "3m")
    assert (late.code, "nobody is woken by it" in late.err) == (1, True)


# --- ending an alert ---


def test_an_all_clear_goes_to_everybody_who_was_told(post: Post, tmp_path: Path) -> None:
    made = composed(post, *CROWD, *RESIDENCE, "--area", "circle 12.1015,-68.9336 0.4")
    with post.station("Chen") as chen:
        first = composing.freeze(composing.find(chen.vault, made["draft"])[1], made_now())
        residence = [c.id for c in chen.channels() if c.purpose == "residence alerts"]
        root = chen.alert_alone(residence, first.cap, "nobody else is there").root
        asyncio.run(chen.sync(30))
        clear = read_example("all-clear")
        draft = chen.act(
            lambda work: composing.compose(work, Wish(type=AlertType.ALL_CLEAR, template=clear, ends=root))
        )
        cleared = composing.freeze(draft, made_now())
        assert draft.references == [root]
        assert list(draft.channels) == residence
        assert Marking(draft.marking) is Marking.AMBER
        assert is_all_clear(cleared.alert)
        assert [r.identifier for r in cleared.alert.references] == [first.alert.identifier]
        assert cleared.alert.infos[0].headline == "ALL CLEAR: Hostile crowd at Plaza Central"
        assert [info.language for info in cleared.alert.infos] == ["en"]  # as the alert itself
        assert cleared.alert.infos[0].areas == first.alert.infos[0].areas
        assert chen.act(lambda work: composing.keep(work, draft))
        with pytest.raises(NotComposed):
            chen.act(lambda work: composing.compose(work, Wish(template=clear, ends=root)))
        with pytest.raises(Unknown):
            chen.act(lambda work: composing.compose(work, Wish(type=AlertType.UPDATE, template=clear, ends=bytes(32))))
    spanish = {"LC_ALL": "es_ES.UTF-8"}
    post.sync("Ayo")
    read = post("Ayo", "read", env=spanish)
    assert "not in es-ES: this alert speaks en; shown in en" in read.out
    assert "where: Plaza Central" in read.out
    answered = post("Ayo", "ack", root.hex()[:12], "need help")
    assert answered.code == 0, answered.err
    shown = post("Chen", "alert", "draft", "show", composing.name_of(draft_of(post, root)))
    assert f"clears {root.hex()[:8]}: Hostile crowd at Plaza Central" in shown.out
    exported = post("Chen", "alert", "export", root.hex()[:12], "--cap", tmp_path / "crowd.cap")
    assert exported.code == 0, exported.err
    assert (tmp_path / "crowd.cap").read_bytes() == first.cap
    assert post("Chen", "alert", "check", tmp_path / "crowd.cap").code == 0
    again = post("Chen", "alert", "export", root.hex()[:12], "--cap", tmp_path / "crowd.cap")
    assert (again.code, "it is not overwritten" in again.err) == (2, True)
    assert post("Chen", "alert", "export", "00ff", "--cap", tmp_path / "x.cap").code == 2


def made_now() -> int:
    return int(time.time() * 1000)


def read_example(name: str) -> Template:
    return next(t for t in examples() if t.name == name)


def draft_of(post: Post, root: bytes) -> bytes:
    with post.station("Chen") as chen:
        return next(key for key, draft in composing.drafts(chen.vault) if draft.references == [root])


# --- templates ---


def test_a_template_reaches_the_other_officers_and_who_comes_later(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "crowd.toml"
    file.write_text(SOURCE)
    checked = post("Chen", "alert", "template", "check", file)
    assert (checked.code, checked.out.splitlines()[0]) == (0, "crowd 3: good")
    added = post("Chen", "alert", "template", "add", file)
    assert (added.code, added.err) == (0, "")
    post.sync("Dara")
    listed = {str(t["name"]): t for t in post("Dara", "alert", "template", "list", "--json").objects}
    assert (listed["crowd"]["version"], listed["crowd"]["from"], listed["crowd"]["example"]) == (3, "Chen", False)
    assert listed["shelter"]["example"] is True
    shown = post("Dara", "alert", "template", "show", "crowd")
    assert shown.out.splitlines()[0].startswith("# from Chen, tested 2026-09-14")
    assert 'headline = "Crowd at {place}"' in shown.out
    file.write_text(SOURCE.replace("A crowd.", "Another."))
    refused = post("Dara", "alert", "template", "add", file)
    assert (refused.code, "make this one version = 4" in refused.err) == (1, True)
    post.enrol("officer", "Ruth")
    post.sync("Chen")
    joined = post("Chen", "channel", "add", "desk", post.mission.certified["Ruth"].device.hex())
    assert joined.code == 0, joined.err
    post.sync("Ruth", "Chen", "Ruth")
    with post.station("Ruth") as ruth:
        assert [e.template.name for e in playbook.entries(ruth.vault)] == ["crowd"]
    left = post("Chen", "channel", "remove", "desk", post.mission.certified["Ruth"].device.hex())
    assert left.code == 0, left.err  # other tests count who may approve


def test_an_agent_adds_no_template(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "crowd.toml"
    file.write_text(SOURCE)
    assert post("Ayo", "alert", "template", "add", file).code == 6
    file.write_text("name = ")
    assert post("Ayo", "alert", "template", "check", file).code == 1
