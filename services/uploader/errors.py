"""Why an upload does not go on, each kind with its facts."""

from pathlib import Path
from typing import Any


class UploadFailed(Exception):  # noqa: N818
    """What all reasons have in common; ``exit_code`` is the command's."""

    exit_code = 2

    def to_document(self) -> dict[str, Any]:
        """Return the facts as JSON tells them."""
        return {"type": type(self).__name__, "message": str(self)}


class ServiceUnreachable(UploadFailed):
    """The service did not answer, or not like Faultlight, as often as it was tried.

    ``retry_after_s`` is how long the service asked to wait, if it did.
    """

    exit_code = 1

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class _Answered(UploadFailed):
    """The service answered with a problem: its HTTP ``status``, its ``name`` in the catalogue, and ``detail``."""

    def __init__(self, status: int, name: str, detail: str) -> None:
        super().__init__(f"{detail} ({status} {name})")
        self.status = status
        self.name = name
        self.detail = detail

    def to_document(self) -> dict[str, Any]:
        """Return the facts as JSON tells them."""
        return super().to_document() | {"status": self.status, "problem": self.name, "detail": self.detail}


class Refused(_Answered):
    """The service does not want this content, and would not want it tomorrow either."""


class Blocked(_Answered):
    """The key, the program or the quota stands in the way: nothing about the content, and people can mend it."""


class FileChanged(UploadFailed):
    """The file is not any more what was announced to the service."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(f"{show(path)} changed while it was being sent: expected {expected}, found {found}")
        self.path = path
        self.expected = expected
        self.found = found

    def to_document(self) -> dict[str, Any]:
        """Return the facts as JSON tells them."""
        return super().to_document() | {"file": show(self.path), "expected": self.expected, "found": self.found}


class BadInput(UploadFailed):
    """There is nothing at ``path`` that could be sent."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{show(path)}: {reason}")
        self.path = path
        self.reason = reason

    def to_document(self) -> dict[str, Any]:
        """Return the facts as JSON tells them."""
        return super().to_document() | {"file": show(self.path), "reason": self.reason}


def show(path: Path | str) -> str:
    """Return a path as text that every terminal and JSON can hold; bytes that are no UTF-8 become U+FFFD."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
