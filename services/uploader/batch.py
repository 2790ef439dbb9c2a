"""What one ``faultlight upload`` sends, in order, and what it prints of each."""

import sys
from collections.abc import Iterator
from pathlib import Path

from services.uploader.client import Outcome, UploadClient
from services.uploader.errors import BadInput, Blocked, ServiceUnreachable, UploadFailed, show
from services.uploader.folder import SESSION_FILE, Ignoring, check_session, list_files
from services.uploader.reporting import format_bytes, print_json, print_line


class Batch:
    """Sends what a command line names, and prints what comes of it."""

    def __init__(self, client: UploadClient, program: str | None, ignoring: Ignoring, *, as_json: bool) -> None:
        self._client = client
        self._program = program
        self._ignoring = ignoring
        self._as_json = as_json

    def send_all(self, paths: list[Path], *, bundle: bool) -> int:
        """Send everything and return the exit code; stops early when the service or the key makes it hopeless."""
        codes: set[int] = set()
        for path, is_bundle in self._find_items(paths, codes, bundle=bundle):
            try:
                outcome = self._send(path, is_bundle=is_bundle)
            except UploadFailed as error:
                codes.add(error.exit_code)
                self._tell_failure(path, error)
                if isinstance(error, Blocked) or (isinstance(error, ServiceUnreachable) and not self._is_ready()):
                    break
            else:
                self._tell_outcome(path, outcome)
        return 1 if 1 in codes else max(codes, default=0)

    def _find_items(self, paths: list[Path], codes: set[int], *, bundle: bool) -> Iterator[tuple[Path, bool]]:
        for path in paths:
            if not path.is_dir():
                yield path, False
            elif bundle or (path / SESSION_FILE).is_file():
                yield path, True
            else:
                yield from self._find_files(path, codes)

    def _find_files(self, folder: Path, codes: set[int]) -> Iterator[tuple[Path, bool]]:
        """Each file below a folder stands alone, except in folders with ``session.json``."""
        listing = list_files(folder, self._ignoring)
        sessions = {path.parent for path in listing.files if path.name == SESSION_FILE}
        tops = {each for each in sessions if not any(parent in sessions for parent in each.parents)}
        problems = [BadInput(path, "is a link: not followed, not sent") for path in listing.links]
        problems += [BadInput(path, "cannot be read") for path in listing.unreadable]
        if not listing.files:
            problems.append(BadInput(folder, "holds no file"))
        for problem in problems:
            codes.add(problem.exit_code)
            self._tell_failure(problem.path, problem)
        yield from ((top, True) for top in sorted(tops))
        yield from ((path, False) for path in listing.files if not any(parent in tops for parent in path.parents))

    def _send(self, path: Path, *, is_bundle: bool) -> Outcome:
        if not is_bundle:
            return self._client.upload_file(path, self._program)
        check_session(path, self._ignoring)
        return self._client.upload_bundle(path, self._program, self._ignoring)

    def _is_ready(self) -> bool:
        try:
            self._client.check_ready()
        except ServiceUnreachable:
            return False
        return True

    def _tell_outcome(self, path: Path, outcome: Outcome) -> None:
        if self._as_json:
            print_json({"path": show(path), **outcome.to_document()})
            return
        what = "known, nothing sent" if outcome.known else f"sent {format_bytes(outcome.sent_bytes)}"
        kind, identifier = ("bundle", outcome.bundle_id) if outcome.bundle_id else ("file", outcome.raw_file_id)
        print_line(f"{show(path)}: {what}; {kind} {identifier}, job {outcome.job_id or 'none'}")

    def _tell_failure(self, path: Path, error: UploadFailed) -> None:
        if self._as_json:
            print_json({"path": show(path), "error": error.to_document()})
            return
        prefix = "" if isinstance(error, BadInput) else f"{show(path)}: "
        print_line(f"{prefix}{error}", sys.stderr)
