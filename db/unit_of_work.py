"""One request or task is one transaction; one that only reads needs none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

AfterCommit = Callable[[], None]


class UnitOfWork:
    """A transaction and what is to happen after it has committed.

    Repositories take ``unit.connection``; only :func:`begin` commits.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after_commit: list[AfterCommit] = []

    def after_commit(self, action: AfterCommit) -> None:
        """Run ``action`` once the transaction has committed, never when it has not (ring a doorbell)."""
        self._after_commit.append(action)

    def run_after_commit(self) -> None:
        """Run the registered actions in order."""
        actions, self._after_commit = self._after_commit, []
        for action in actions:
            action()


@contextmanager
def begin(engine: Engine) -> Iterator[UnitOfWork]:
    """Open a transaction, commit at the end of the block, roll back when the block raises.

    The actions registered by :meth:`UnitOfWork.after_commit` run after a commit that succeeded.
    """
    with engine.begin() as connection:
        unit = UnitOfWork(connection)
        yield unit
    unit.run_after_commit()


@contextmanager
def read(engine: Engine) -> Iterator[UnitOfWork]:
    """Open a connection of a reading engine (:func:`db.engine.make_reading_engine`): there is nothing to commit."""
    with engine.connect() as connection:
        unit = UnitOfWork(connection)
        yield unit
    unit.run_after_commit()
