"""The playbook: the mission's templates as this device keeps them, each version for good.

An officer adds a file; it goes to the other officers by the desk channel and stands in each playbook from then on. A version is
never changed: another text is another version. Where two officers wrote the same version apart, both stand here and neither is
used until a newer one settles it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from clients.core import outbox, records
from clients.core.content import TemplatePage, encode_content
from clients.core.errors import NotNow, Unknown
from clients.core.ledger import Draft, Shelf, View
from clients.core.outbox import Kept
from clients.core.template_file import read
from clients.core.templates import Template, TemplateRefused
from clients.core.turn import Turn
from keys.canonical import Id, Millis, Record
from keys.envelope import Kind, Precedence
from keys.policy import DESK


class Page(Record, frozen=True, array_like=True):
    """A template's file, the device it came from, and when (ms)."""

    source: bytes
    device: Id
    time: Millis


PAGES: Shelf[Page] = Shelf("page", Page)  # name ‖ 0 ‖ version ‖ SHA-256 of the file


@dataclass(frozen=True, slots=True)
class Entry:
    """A template of the playbook. `example` is one that came with the program; `device` who gave it, empty for an example.
    `disputed`: another text bears the same name and version."""

    template: Template
    device: bytes
    time: int
    example: bool
    disputed: bool


def _key(template: Template) -> bytes:
    return template.name.encode() + b"\0" + template.version.to_bytes(4, "big") + sha256(template.source).digest()


def put(draft: Draft, source: bytes, device: bytes, now: int) -> Template:
    """Take a template's file, from an officer here or another one. Raises TemplateRefused."""
    template = read(source)
    key = _key(template)
    if PAGES.get(draft, key) is None:
        PAGES.put(draft, key, Page(source, device, now))
    return template


def add(draft: Draft, source: bytes, device: bytes, now: int) -> Template:
    """Take a new version from whoever sits here.

    Raises:
        TemplateRefused: it is none, or its version isn't beyond those that stand here already.
    """
    template = read(source)
    known = [e.template for e in entries(draft) if e.template.name == template.name]
    newest = max((t.version for t in known), default=0)
    if template.version <= newest and template.source not in {t.source for t in known}:
        raise TemplateRefused(
            f"version {newest} of {template.name} stands here already: make this one version = {newest + 1}"
        )
    return put(draft, source, device, now)


def share(turn: Turn, channel: bytes, templates: Sequence[Template]) -> None:
    """Send templates to everybody at a desk."""
    state = records.CHANNELS.get(turn.draft, channel)
    assert state is not None
    for template in templates:
        page = encode_content(TemplatePage(template.source))
        outbox.keep(turn, Kept(channel, Kind.APPLICATION, page, Precedence.ROUTINE, state.ceiling))


def desks(turn: Turn) -> list[bytes]:
    """The channels in which this device's officers keep what is theirs."""
    return [c for c, state in turn.channels() if state.channel_class == DESK and not state.left and not state.halted]


def newest(view: View) -> list[Template]:
    """The newest version of each template of the mission's own."""
    return list({entry.template.name: entry.template for entry in entries(view)}.values())


def entries(view: View, examples: Sequence[Template] = ()) -> list[Entry]:
    """Everything in the playbook by name and version, and those examples whose name the mission has no template of."""
    pages = [(read(page.source), page) for _, page in PAGES.scan(view)]
    places = [(template.name, template.version) for template, _ in pages]
    own = {name for name, _ in places}
    found = [
        Entry(template, page.device, page.time, False, places.count((template.name, template.version)) > 1)
        for template, page in pages
    ]
    found += [Entry(template, b"", 0, True, False) for template in examples if template.name not in own]
    return sorted(found, key=lambda e: (e.template.name, e.template.version, e.template.source))


def find(view: View, name: str, version: int = 0, examples: Sequence[Template] = ()) -> Entry:
    """A template by name; the newest version unless one is named.

    Raises:
        Unknown: there is none of that name, or version.
        NotNow: two texts bear that version.
    """
    named = [e for e in entries(view, examples) if e.template.name == name]
    if not named:
        known = ", ".join(dict.fromkeys(e.template.name for e in entries(view, examples))) or "none"
        raise Unknown(f"no template {name!r} here: there are {known}")
    wanted = version or named[-1].template.version
    fits = [e for e in named if e.template.version == wanted]
    if not fits:
        raise Unknown(f"{name} has no version {wanted}: its newest is {named[-1].template.version}")
    if len(fits) > 1:
        raise NotNow(
            f"two officers wrote version {wanted} of {name}: settle it with version {named[-1].template.version + 1}"
        )
    return fits[0]
