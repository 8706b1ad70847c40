"""What two or three implementations do in one group; each scenario is a function, and its docstring a row of the table.

`ours` and `theirs` are peers. Most roles are played both ways round, so that each implementation makes what the other
has to follow.
"""

import random
from collections.abc import Callable, Sequence

from tests.interop import inside, lineage, outside
from tests.interop.process import Process
from tests.interop.world import Member, World

Scenario = Callable[[int, Process, Process], None]


def walk(suite: int, *peers: Process, seed: int = 0, steps: int = 24) -> None:
    """a long walk: eight members of all sides come, go, update and race"""
    choose = random.Random(seed)
    world = World(suite)
    bring(world, world.found(choose.choice(peers)), peers)
    for _step in range(steps):
        by, other = choose.sample(world.members, 2)
        match choose.choice(("add", "remove", "update", "update", "race", "talk")):
            case "add" if len(world.members) < 8:
                bring(world, by, choose.choices(peers, k=choose.choice((1, 1, 2))))
            case "remove" if len(world.members) > 3:
                world.remove(by, other)
            case "race":
                world.race(by, other)
            case "talk":
                world.talk()
            case _:
                world.commit(by)
    world.talk()


def bring(world: World, by: Member, peers: Sequence[Process]) -> None:
    """Add a client of each. Where ts-mls reads the tree it has to find the same unmerged leaves in all nodes above one
    (README.md): so one by one, without a path, and each gives the nodes above it fresh keys at once.
    """
    everybody = [*(member.peer for member in world.members), *peers]
    if not any(peer.name.startswith("ts-mls") for peer in everybody):
        world.add(by, *peers)
        return
    for peer in peers:
        (joiner,) = world.add(by, peer, bare=True)
        world.commit(joiner)


PAIRS: tuple[Scenario, ...] = (
    inside.ours_creates,
    inside.theirs_creates,
    inside.each_adds,
    inside.each_updates,
    inside.ours_removes,
    inside.theirs_removes,
    outside.ours_joins_externally,
    outside.theirs_joins_externally,
    outside.ours_comes_back,
    outside.theirs_comes_back,
    inside.ours_commits_theirs,
    inside.theirs_commits_ours,
    inside.ours_loses,
    inside.theirs_loses,
    inside.out_of_order,
    lineage.ours_commits_psk,
    lineage.theirs_commits_psk,
    lineage.ours_resumes,
    lineage.theirs_resumes,
    lineage.ours_resumes_past,
    lineage.theirs_resumes_past,
    lineage.ours_branches,
    lineage.theirs_branches,
    lineage.ours_reinitialises,
    lineage.theirs_reinitialises,
    inside.ours_changes_extensions,
    inside.theirs_changes_extensions,
    inside.theirs_proposes_extensions,
    inside.theirs_seals_handshakes,
    outside.ours_asks_to_be_added,
    outside.theirs_asks_to_be_added,
    outside.ours_obeys_a_server,
    outside.theirs_obeys_a_server,
    walk,
)
