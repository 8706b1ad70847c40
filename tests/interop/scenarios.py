"""What two or three implementations do in one group; each scenario is a function, and its docstring a row of the table.

`ours` and `theirs` are peers. Most roles are played both ways round, so that each implementation makes what the other
has to follow.
"""

import random
from collections.abc import Callable

from tests.interop import inside, lineage, outside
from tests.interop.process import Process
from tests.interop.world import World

Scenario = Callable[[int, Process, Process], None]


def walk(suite: int, *peers: Process, seed: int = 0, steps: int = 24) -> None:
    """a long walk: eight members of all sides come, go, update and race"""
    choose = random.Random(seed)
    world = World(suite)
    founder = world.found(choose.choice(peers))
    for joiner in world.add(founder, *peers):
        world.commit(joiner)
    for _step in range(steps):
        by, other = choose.sample(world.members, 2)
        match choose.choice(("add", "remove", "update", "update", "race", "talk")):
            case "add" if len(world.members) < 8:
                for joiner in world.add(by, *choose.choices(peers, k=choose.choice((1, 1, 2)))):
                    world.commit(joiner)  # ts-mls refuses a Welcome's tree in which unmerged leaves nest
            case "remove" if len(world.members) > 3:
                world.remove(by, other)
            case "race":
                world.race(by, other)
            case "talk":
                world.talk()
            case _:
                world.commit(by)
    world.talk()


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
