"""Composing an alert: a draft is kept on this device until it is frozen for approval or thrown away.

    draft = compose(work, Wish(template=..., values=..., channels=..., ...))   # checked: document, house, marking
    key = keep(work, draft)
    frozen = freeze(draft, now)                # at `alert submit`: the bytes that are hashed, with the times of then

A draft binds nobody: its text may still change, and no root stands over it. Who may be shown what is asked when it is kept,
and again when it is frozen and approved, because channels and agreements change meanwhile (`clients.core.release`).

An Update, Cancel or all-clear (`Wish.ends`) takes channels, marking, place and whether it is a drill from what it ends, unless the
officer says otherwise, and names every message of the chain that has not run out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from unicodedata import normalize

from clients.core import release
from clients.core.cap import Alert, CapRefused, Reference, open_alert
from clients.core.cap.chains import open_chain, reference_to
from clients.core.cap.writing import restamped
from clients.core.commits import Work
from clients.core.composition import (
    Composition,
    NotComposed,
    Shape,
    check_house,
    document,
    marking_in,
)
from clients.core.conversation import need
from clients.core.errors import NotNow, Unknown
from clients.core.ledger import View
from clients.core.records import ALERTS, DRAFTS, AlertDraft
from clients.core.templates import ABOUT, OPTIONS, Template, Value, Wording, fill, in_languages, speaking
from clients.core.text import hidden
from clients.core.turn import HOUR
from keys.alert import LIFE, REFERENCES, AlertType
from keys.envelope import Marking
from keys.policy import Verb

LASTS: Final = 12 * HOUR  # an alert whose document names no end
SLUG: Final = re.compile(r"[^\w]+|_+")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an officer asked for; what is empty is taken from the template, and from the alert that is ended.

    Exactly one of `template` and `file` (a CAP document's bytes) is given. `languages` are (tag, "human" | "machine" | "").
    `expires` in ms since 1970 UTC, `lasts` in ms. `ends` is the root of the alert that this one updates, cancels or clears.
    """

    type: AlertType = AlertType.ALERT
    template: Template | None = None
    file: bytes = b""
    values: tuple[Value, ...] = ()
    languages: tuple[tuple[str, str], ...] = ()
    channels: tuple[bytes, ...] = ()
    marking: Marking | None = None
    urgency: str = ""
    severity: str = ""
    certainty: str = ""
    responses: tuple[str, ...] = ()
    respond: tuple[Value, ...] = ()
    place: str = ""
    shapes: tuple[Shape, ...] = ()
    lasts: int = 0
    expires: int = 0
    exercise: str = ""
    note: str = ""
    release: str = ""
    ladder: bytes = b""
    ends: bytes = b""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a draft comes to at one moment: the very bytes to be hashed, signed and sent.

    `not_after` is when the alert ends (ms); `options` are the replies it offers, in their order.
    """

    cap: bytes
    alert: Alert
    not_after: int
    options: tuple[str, ...]


def freeze(draft: AlertDraft, now: int) -> Frozen:
    """The draft as it stands at `now`, in ms.

    A document written here gets its times anew, since a draft may have been kept overnight; a file's bytes stay as they are.

    Raises:
        NotNow: the alert would be over already, or last longer than any may.
        CapRefused: the document is none; a draft that was kept has passed this.
    """
    data = restamped(draft.cap, now, draft.lasts) if draft.written else draft.cap
    alert = open_alert(data)
    ends = [info.expires_at for info in alert.infos if info.expires_at is not None]
    not_after = max(ends) if ends else now + (draft.lasts or LASTS)
    if not_after <= now:
        raise NotNow("this alert's time is over already: give it a later end")
    if not_after > now + LIFE:
        raise NotNow(f"an alert lasts at most {LIFE // (24 * HOUR)} days: give it an earlier end")
    return Frozen(data, alert, not_after, alert.response_options)


def keep(work: Work, draft: AlertDraft) -> bytes:
    """Keep a draft; gives its id.

    Raises:
        NotAllowed: no role here may alert, or somebody in a target channel may not see this marking.
        NotComposed: it breaks a rule of the house.
        NotNow, Unknown: a target channel is not one to be alerted.
        CapRefused: the document is none.
    """
    need(work, Verb.ALERT)
    frozen = freeze(draft, work.turn.now)
    check_house(frozen.alert, AlertType(draft.type), draft.marking)
    release.check(work, draft.channels, draft.marking)
    release.check_reason(work, draft.channels, draft.marking, draft.release)
    key = work.turn.next_id()
    DRAFTS.put(work.turn.draft, key, draft)
    return key


def drafts(view: View) -> list[tuple[bytes, AlertDraft]]:
    """The drafts on this device with their ids, the oldest first."""
    return sorted(DRAFTS.scan(view), key=lambda kept: (kept[1].composed, kept[0]))


def find(view: View, wanted: str) -> tuple[bytes, AlertDraft]:
    """The one draft whose id, as `name_of` shows it, begins so. Raises Unknown."""
    fits = [(key, draft) for key, draft in drafts(view) if name_of(key).startswith(wanted.lower())]
    if len(fits) != 1 or not wanted:
        raise Unknown(f"{len(fits)} drafts begin with {wanted!r}: see `outrider alert draft list`")
    return fits[0]


def sent(view: View, draft: AlertDraft) -> bool:
    """Whether it has become an alert: it is kept so that it is not sent twice."""
    return bool(draft.root) and ALERTS.get(view, draft.root) is not None


def template_of(alert: Alert) -> str:
    """The template that a document was made with here, empty where it names none."""
    named = next((code.value for info in alert.infos for code in info.parameters if code.name == "template"), "")
    return named.rpartition(" ")[0] or named


def name_of(key: bytes) -> str:
    """A draft's id as people see and type it: its random half, since the counted half is much alike among drafts."""
    return key[8:].hex()


def drop(work: Work, key: bytes) -> None:
    """Throw a draft away."""
    DRAFTS.delete(work.turn.draft, key)


# --- from a wish to a draft ---


@dataclass(frozen=True, slots=True)
class _Ended:
    """The alert that is ended: its document, the places it went to, and how the chain it belongs to is named."""

    alert: Alert
    channels: tuple[bytes, ...]
    marking: Marking | None
    roots: tuple[bytes, ...]
    references: tuple[Reference, ...]


def compose(work: Work, wish: Wish) -> AlertDraft:
    """The draft that a wish comes to, not kept yet.

    Raises:
        EmptySlots: a slot of the template has no value.
        TemplateRefused, NotComposed: a value or a text that may not be.
        CapRefused: the file is no CAP document.
        Unknown: a language, slot or alert that is not there.
    """
    ended = _ended(work, wish) if wish.ends else None
    if (wish.type is AlertType.ALERT) != (ended is None):
        raise NotComposed("an update, cancel or all-clear names the alert that it ends, and a new alert none")
    marking = wish.marking
    if marking is None and ended is not None:
        marking = ended.marking
    channels = wish.channels or (ended.channels if ended else ())
    if wish.template is not None:
        marking = wish.template.marking if marking is None else marking
        data, lasts, template = _written(work, wish, wish.template, ended, marking)
        name, version = template.name, template.version
    else:
        alert = _from_file(wish, ended)
        marking = (marking_in(alert) or Marking.CLEAR) if wish.marking is None else wish.marking
        data, lasts, name, version = wish.file, wish.lasts, "", 0
    return AlertDraft(
        type=int(wish.type),
        cap=data,
        written=wish.template is not None,
        lasts=lasts,
        channels=list(dict.fromkeys(channels)),
        marking=marking,
        release=wish.release.strip(),
        ladder=wish.ladder,
        references=sorted(ended.roots) if ended else [],
        template=name,
        version=version,
        composed=work.turn.now,
        root=b"",
    )


def _ended(work: Work, wish: Wish) -> _Ended:
    known = dict(documents(work.turn.draft))
    if wish.ends not in known:
        raise Unknown(f"no alert {wish.ends.hex()[:8]} here: see `outrider alert list`")
    alert = known[wish.ends]
    # The newest of them: those are what a device that missed some in between may still hold current.
    chain = open_chain(known.values(), alert, work.turn.now)[-REFERENCES:]
    chain = chain if any(one.original == alert.original for one in chain) else [*chain[1 - REFERENCES :], alert]
    named = {one.original for one in chain}
    roots = [root for root, document in known.items() if document.original in named]
    # Whoever was told of any of them is told of its end.
    found = [ALERTS.get(work.turn.draft, root) for root in (wish.ends, *roots)]
    places = [channel for record in found if record is not None for channel, _ in record.places]
    return _Ended(
        alert,
        tuple(dict.fromkeys(places)),
        marking_in(alert),
        tuple(roots),
        tuple(map(reference_to, chain)),
    )


def _from_file(wish: Wish, ended: _Ended | None) -> Alert:
    alert = open_alert(wish.file)
    unnamed = [r for r in ended.references if r not in alert.references] if ended else []
    if unnamed:
        raise NotComposed(f"its references must name {' '.join(map(str, unnamed))}")
    if ended is None and alert.msg_type != "Alert":
        raise NotComposed(f"its msgType is {alert.msg_type}: use `outrider alert update`, `cancel` or `allclear`")
    return alert


def _written(
    work: Work, wish: Wish, template: Template, ended: _Ended | None, marking: Marking
) -> tuple[bytes, int, Template]:
    """The document that a template comes to; how long it lasts (0: until the end that was given); and the template used."""
    template, values = in_languages(template, wish.languages), wish.values
    if not wish.languages:  # all that there are words for; a language that was asked for blocks instead
        template, _ = speaking(template, values)
    if ended is not None:
        template, values = _about(template, values, ended.alert)
    texts = _replied(fill(template, values), wish.respond)
    place, shapes = _where(wish, ended)
    me, policy = work.turn.me, work.turn.charter.policy
    composition = Composition(
        type=wish.type,
        sender=f"{_slug(me.organisation)}@{_slug(policy.mission)}",
        sender_name=me.organisation,
        categories=template.categories,
        responses=wish.responses or template.responses,
        urgency=wish.urgency or template.urgency,
        severity=wish.severity or template.severity,
        certainty=wish.certainty or template.certainty,
        marking=marking,
        lasts=wish.expires - work.turn.now if wish.expires else wish.lasts or template.lasts,
        exercise=_plain(
            "the exercise's name", wish.exercise or (ended.alert.note if ended and ended.alert.is_exercise else "")
        ),
        note=_plain("the note", wish.note),
        references=ended.references if ended else (),
        place=_plain("the place", place or next((v.text for v in values if v.slot == "place"), "")),
        shapes=shapes,
        texts=texts,
        template=f"{template.name} {template.version}",
    )
    if composition.shapes and not composition.place:
        raise NotComposed("an area has a name: --place")
    if composition.lasts <= 0:
        raise NotComposed("this alert would be over before it is sent: give it a later end")
    identifier = f"{_slug(policy.mission)[:24].upper()}-{work.turn.random(8).hex()}"
    lasts = 0 if wish.expires else composition.lasts
    return document(composition, identifier, work.turn.now), lasts, template


def _about(template: Template, values: tuple[Value, ...], alert: Alert) -> tuple[Template, tuple[Value, ...]]:
    """The slot `about`, filled with the headline of the alert that is ended, in each language that it speaks."""
    own = [Value(ABOUT, info.headline or info.event, info.language) for info in alert.infos]
    spoken = {value.language.lower() for value in own}
    first, *others = template.texts
    kept = [text for text in others if text.language.lower() in spoken]  # nobody needs an end without its beginning
    said = [v for v in own if v.language.lower() in {t.language.lower() for t in (first, *kept)}]
    anywhere = [Value(ABOUT, own[0].text if own else alert.identifier)]
    return replace(template, texts=(first, *kept)), (*values, *anywhere, *said)


def _replied(texts: tuple[Wording, ...], respond: Sequence[Value]) -> tuple[Wording, ...]:
    """The texts with the replies that were asked for: a language's own words, else those given for all."""
    if not respond:
        return texts
    for reply in respond:
        _plain("a reply", reply.text)
    everywhere = [r.text for r in respond if not r.language]
    chosen = []
    for text in texts:
        own = [r.text for r in respond if r.language.lower() == text.language.lower()]
        chosen.append(replace(text, respond=tuple(dict.fromkeys(own or everywhere))))
    if any(len(text.respond) != len(chosen[0].respond) or not text.respond for text in chosen):
        raise NotComposed("each language offers the same replies: give as many --respond for one as for the other")
    if len(chosen[0].respond) > OPTIONS:
        raise NotComposed(f"an alert offers at most {OPTIONS} replies")
    return tuple(chosen)


def _where(wish: Wish, ended: _Ended | None) -> tuple[str, tuple[Shape, ...]]:
    areas = [area for info in ended.alert.infos[:1] for area in info.areas] if ended else []
    inherited = [Shape(polygon=p) for area in areas for p in area.polygons]
    inherited += [Shape(circle=c) for area in areas for c in area.circles]
    place = wish.place or (areas[0].description if areas else "")
    return place, wish.shapes or tuple(inherited)


def _plain(what: str, text: str) -> str:
    text = normalize("NFC", text.strip())
    if unseen := hidden(text):
        raise NotComposed(f"{what} holds what nobody can see ({unseen}): type it anew")
    return text


def _slug(text: str) -> str:
    return SLUG.sub("-", text.casefold()).strip("-") or "x"


def documents(view: View) -> Iterable[tuple[bytes, Alert]]:
    """Every alert on this device as (root, document), for `cap.chains.standings`."""
    for root, record in ALERTS.scan(view):
        try:
            yield root, open_alert(record.cap)
        except CapRefused:  # the record of an alert that did not pass
            continue
