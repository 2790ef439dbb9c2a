"""What an upload tells while it goes on; the base class tells nobody."""


class Observer:
    """Hears what happens to the file called ``name``; counts are bytes."""

    def hashing(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` bytes are hashed."""

    def sending(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` bytes have arrived at the service."""

    def waiting(self, name: str, wait_s: float, reason: str) -> None:
        """The next try comes in ``wait_s`` seconds, because of ``reason``."""
