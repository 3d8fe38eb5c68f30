"""Room for one item between two threads: the whole queue of a stage."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds at most one item. One thread puts, one takes; either may end it, and no call waits for ever after that.

    `n_replaced` counts the items that `put_latest` pushed out.
    """

    def __init__(self) -> None:
        self.n_replaced = 0
        self._changed = threading.Condition()
        self._items: list[T] = []  # none or one
        self._replaceable = False
        self._finished = False
        self._abandoned = False

    def wait_for_room(self) -> bool:
        """Wait until the slot is empty; the thread that puts may then put at once. False when nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._items or self._abandoned)
            return not self._abandoned

    def put(self, item: T) -> bool:
        """Wait for room and leave an item that nothing replaces. False when nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._items or self._abandoned)
            return self._leave(item, replaceable=False)

    def put_latest(self, item: T) -> bool:
        """Leave the latest item: an earlier latest one that still waits is replaced, an item that was `put` waited for.

        False when nobody takes any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._items or self._replaceable or self._abandoned)
            self.n_replaced += len(self._items) if not self._abandoned else 0
            return self._leave(item, replaceable=True)

    def take(self) -> T | None:
        """Wait for an item; None when none will come any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._finished or self._abandoned)
            item = self._items.pop() if self._items else None
            self._changed.notify_all()
            return item

    def finish(self) -> None:
        """Say, on the side that puts, that nothing follows; what waits can still be taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say, on the side that takes, that nothing will be taken any more; what waits is discarded."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()

    def _leave(self, item: T, *, replaceable: bool) -> bool:
        if not self._abandoned:
            self._items[:] = [item]
            self._replaceable = replaceable
            self._changed.notify_all()
        return not self._abandoned
