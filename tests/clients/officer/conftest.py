"""A mission with a desk, two officers, two agents and a guest behind a real gateway process, for the verbs of officers.

It is founded once for the tests of one file, which run one verb after the other, each as a user would: `post("Chen", "reach")`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.main import run
from clients.station import Station
from keys.envelope import Marking
from tests.clients.programs import Ran
from tests.e2e.mission import PASSPHRASE, RealMission
from tests.waiting import until

PEOPLE = (("officer", "Chen"), ("officer", "Dara"), ("agent", "Ayo"), ("agent", "Lena"))
GUEST = "Emil"
CHANNELS = (
    ("alert", Marking.AMBER, "residence alerts", ("Dara", "Ayo", "Lena")),
    ("alert", Marking.AMBER, "liaison alerts", ("Dara", GUEST)),
    ("detail", Marking.AMBER_STRICT, "residence", ("Ayo", "Lena")),
    ("desk", Marking.AMBER_STRICT, "desk", ("Dara",)),
)


@dataclass
class Post:
    """The mission with everybody's profile closed, so that verbs can open them."""

    mission: RealMission
    folder: Path
    runner: asyncio.Runner
    capture: pytest.CaptureFixture[str] | None = None

    def __call__(self, who: str, *arguments: object, env: dict[str, str] | None = None) -> Ran:
        """Run a verb of `outrider` in somebody's profile."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            return self._run(who, arguments)

    def _run(self, who: str, arguments: tuple[object, ...]) -> Ran:
        assert self.capture is not None
        self.capture.readouterr()
        shared = ["--profile", self.folder / "profiles" / who, "--passphrase-file", self.folder / "passphrase"]
        code = run([str(a) for a in (*arguments, *shared)])
        said = self.capture.readouterr()
        return Ran(code, said.out, said.err)

    def station(self, who: str) -> Station:
        """Somebody's profile, opened: to be closed again before a verb is run in it."""
        return Station.open(self.folder / "profiles" / who, PASSPHRASE)

    def sync(self, *names: str) -> None:
        """Let devices catch up, one after the other."""
        for who in names:
            with self.station(who) as station:
                report = asyncio.run(station.sync(30))
                assert report.idle, report

    def enrol(self, role: str, name: str) -> None:
        """One more person, whose profile is closed again."""
        self.runner.run(self._enrol([(role, name, "Meridian")]))
        self.close_all()

    async def _enrol(self, people: list[tuple[str, str, str]]) -> None:
        for role, name, house in people:
            await self.mission.enrol(role, name, house)
        for name in list(self.mission.links):
            await self.mission.offline(name)

    def close_all(self) -> None:
        for station in self.mission.stations.values():
            station.close()
        self.mission.stations.clear()


async def _people(mission: RealMission) -> None:
    for role, name in PEOPLE:
        await mission.enrol(role, name)
    await mission.enrol("guest", GUEST, "Hostpol")
    chen = mission.stations["Chen"]
    for kind, marking, purpose, members in CHANNELS:
        channel = chen.create_channel(kind, marking, purpose)
        intent = chen.add(channel, [mission.stations[m].device for m in members])
        await until(lambda i=intent: chen.outcome(i) is not None, f"{purpose} has its members")  # type: ignore[misc]
        assert chen.outcome(intent) == ""
        for name in members:
            inside = mission.stations[name]
            await until(
                lambda s=inside, p=purpose: any(c.purpose == p for c in s.channels()),
                f"{name} knows {purpose}",  # type: ignore[misc]
            )
    for name in list(mission.links):
        await mission.offline(name)


@pytest.fixture(scope="module")
def _post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    folder = tmp_path_factory.mktemp("post")
    (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    with asyncio.Runner() as runner:  # between its turns no loop runs, so that verbs can run theirs
        founding = RealMission.found(folder)
        mission = runner.run(founding.__aenter__())
        try:
            runner.run(_people(mission))
            post = Post(mission, folder, runner)
            post.close_all()
            yield post
        finally:
            runner.run(founding.__aexit__(None, None, None))


@pytest.fixture
def post(_post: Post, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Post:
    """The mission, as a terminal of 80 columns sees it."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("OUTRIDER_HOME", raising=False)
    _post.capture = capfd
    return _post
