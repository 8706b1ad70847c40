"""A pack of cards: drawn from in any order, but none again before all others."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class Pack(Generic[T]):
    """Cards that are drawn one by one; when all were, they are shuffled and drawn again."""

    def __init__(self, chance: Random, cards: Iterable[tuple[int, T]]) -> None:
        self.chance = chance
        self.cards = [card for count, card in cards for _ in range(count)]
        self.left: list[T] = []

    def draw(self) -> T:
        if not self.left:
            self.left = self.chance.sample(self.cards, len(self.cards))
        return self.left.pop()
