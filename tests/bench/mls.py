"""How long MLS takes, in milliseconds of CPU: `python -m tests.bench.mls [suite] [members ...]`.

The rows are those of the project's targets for 1,000 members in suite 1: create and add all, join, commit right after
("worst": one seal a member) and in the steady state (one a level), following it, and a message of 300 bytes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keys.mls import Add, Credential, Group, cipher_suite, new_key_package
from tests.keys.mls.people import DAY, NOW, Names, seeded

Figures = dict[str, float]


@contextmanager
def measured(figures: Figures, name: str, times: int = 1) -> Iterator[None]:
    start = time.process_time()
    yield
    figures[name] = (time.process_time() - start) * 1000 / times


def best(figures: Figures, name: str, step: Callable[[], object], rounds: int = 5) -> None:
    """The least of several rounds: the machines are shared."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        step()
        spent.append((time.process_time() - start) * 1000)
    figures[name] = min(spent)


def measure(number: int, count: int) -> Figures:
    """All figures for one size of group."""
    suite, auth, random, figures = cipher_suite(number), Names(), seeded(count), Figures()
    lifetime = {"not_before": NOW - DAY, "not_after": NOW + DAY}
    keys = [suite.generate_signature_key(random) for _ in range(count)]
    names = [Credential.basic(b"member %d" % index) for index in range(count)]
    packages = [
        new_key_package(suite, name, key, random=random, **lifetime)
        for name, key in zip(names[1:], keys[1:], strict=True)
    ]
    with measured(figures, "create and add all"):
        founder = Group.create(suite, b"bench", names[0], keys[0], auth, random=random, **lifetime)
        adds = [Add(package) for package, _ in packages]
        pending = founder.commit(adds, random=random, now_seconds=NOW, path=False)
    founder, welcome, tree = pending.group, pending.welcome, pending.group.tree_bytes()
    assert welcome is not None

    def join(index: int) -> Group:
        package, secrets = packages[index - 1]
        return Group.join(welcome, package, secrets, keys[index], auth, ratchet_tree=tree)

    best(figures, "join", lambda: join(1), rounds=3)
    groups = [founder, *(join(1 << level) for level in range((count - 1).bit_length()))]
    best(figures, "update commit, worst", lambda: founder.commit(random=random), rounds=2)
    pending = founder.commit(random=random)
    best(figures, "process it, worst", lambda: groups[1].process(pending.message, now_seconds=NOW))
    figures["bytes of it, worst"] = len(pending.message)
    groups = [pending.group, *(group.process(pending.message, now_seconds=NOW)[0] for group in groups[1:])]
    for by in range(1, len(groups)):
        pending = groups[by].commit(random=random)
        groups = [
            pending.group if index == by else group.process(pending.message, now_seconds=NOW)[0]
            for index, group in enumerate(groups)
        ]
    best(figures, "update commit, steady", lambda: groups[0].commit(random=random))
    pending = groups[0].commit(random=random)
    best(figures, "process it, steady", lambda: groups[1].process(pending.message, now_seconds=NOW))
    figures["bytes of it, steady"] = len(pending.message)
    _messages(figures, groups[0], groups[1])
    best(figures, "save", lambda: Group.load(groups[0].parts(), auth).parts())
    figures["state in kB"] = sum(map(len, groups[0].parts().values())) / 1000
    return figures


def _messages(figures: Figures, sender: Group, receiver: Group, count: int = 200) -> None:
    random, sent = seeded("messages"), []
    with measured(figures, "encrypt 300 B", count):
        for _ in range(count):
            sender, message = sender.protect(bytes(300), padding=64, random=random)
            sent.append(message)
    with measured(figures, "decrypt 300 B", count):
        for message in sent:
            receiver, _ = receiver.process(message, now_seconds=NOW)
    figures["bytes of a message"] = len(sent[0])


def main() -> None:
    number, *sizes = [int(argument, 0) for argument in sys.argv[1:]] or [1, 100, 1000]
    columns = [measure(number, size) for size in sizes]
    print(f"suite {number:#06x}, ms of CPU" + "".join(f"  N={size:<8}" for size in sizes))
    for name in columns[0]:
        print(f"{name:28}" + "".join(f"{column[name]:12.3f}" for column in columns))


if __name__ == "__main__":
    main()
