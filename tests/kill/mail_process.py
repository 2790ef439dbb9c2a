"""A mail server that writes down what it accepts before it says so, and dies mid-delivery: ``… PORT FOLDER SEED``."""

import asyncio
import os
import random
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

DIES_AFTER_ACCEPTING, DIES_BEFORE_ACCEPTING, HANGS_UP, TRY_LATER = 0.02, 0.02, 0.03, 0.05


class Postbox:
    """Keeps a line for each message that it accepts: the delivery, and whether it said so."""

    def __init__(self, path: Path, chooser: random.Random) -> None:
        self._sink = path.open("a")
        self._chooser = chooser

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802
        delivery = message_from_bytes(envelope.original_content)["X-Faultlight-Delivery"]
        chance = self._chooser.random()
        if chance < DIES_BEFORE_ACCEPTING:
            os._exit(1)
        chance -= DIES_BEFORE_ACCEPTING
        if chance < DIES_AFTER_ACCEPTING:
            self._accept(delivery, "died")
            os._exit(1)
        chance -= DIES_AFTER_ACCEPTING
        if chance < HANGS_UP:
            self._accept(delivery, "hung up")
            server.transport.abort()
            return "250 never heard"
        if chance - HANGS_UP < TRY_LATER:
            return "451 4.3.0 try later"
        self._accept(delivery, "said so")
        return "250 2.0.0 queued"

    def _accept(self, delivery: str, how: str) -> None:
        self._sink.write(f"{delivery},{how}\n")
        self._sink.flush()
        os.fsync(self._sink.fileno())


async def serve(port: int, path: Path, seed: int) -> None:
    """Serve until killed."""
    postbox = Postbox(path, random.Random(seed))
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(postbox, hostname="mail.example"), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]) / "accepted.csv", int(sys.argv[3])))
