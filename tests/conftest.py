"""What all tests share: hypothesis without a deadline, since a busy machine is no fault in the code, and a seed that repeats.

The fast suite tries 25 examples a property; `OUTRIDER_THOROUGH=1` tries 1,000, by hand (`make night`).
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("outrider", deadline=None, print_blob=True, max_examples=25)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1_000)
settings.load_profile("thorough" if os.environ.get("OUTRIDER_THOROUGH") == "1" else "outrider")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: it keeps one process busy to the end, whenever it begins."""
    items.sort(key=lambda item: "tests/simulation/" not in item.nodeid)
