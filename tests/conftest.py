"""What all tests share: patience, since a busy machine is no fault in the code, and examples that are the same each time.

Verbs give the gateway minutes, hypothesis has no deadline and minds nothing slow. The fast suite tries 25 examples a property, always
the same; `OUTRIDER_THOROUGH=1` tries 1,000 others each time, by hand (`make night`), and prints what repeats one.
"""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, given, settings, strategies

os.environ["OUTRIDER_TIMEOUT"] = "180"  # before `clients` is imported, here and in the processes that are started
SLOW = [HealthCheck.too_slow]
settings.register_profile(
    "outrider", deadline=None, print_blob=True, max_examples=25, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1_000, suppress_health_check=SLOW)
settings.load_profile("thorough" if os.environ.get("OUTRIDER_THOROUGH") == "1" else "outrider")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and what was collected of them live to the end: no search for garbage goes through them, now or during a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """`--collect-only` comes before many processes are started: what hypothesis looks up in Unicode and in our sources is kept on disk."""
    if session.config.option.collectonly:
        settings(max_examples=1, database=None)(given(strategies.text())(lambda text: None))()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: it keeps one process busy to the end, whenever it begins."""
    items.sort(key=lambda item: "tests/simulation/" not in item.nodeid)
