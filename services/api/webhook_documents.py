"""Webhooks and their deliveries, as requests and answers."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from db.schema.events import EventKind
from services.api.documents import Document, Name
from services.api.listing import ProgramQuery
from services.api.monitoring_documents import Text
from services.api.record_documents import ProgramRow

Url = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[!-~]+$")]
Kinds = Annotated[list[EventKind], Field(max_length=20)]
DeliveryState = Literal["waiting", "sending", "delivered", "dead"]


class WebhookQuery(ProgramQuery):
    """Filters of webhooks: `kind` those that are told of it."""

    kind: EventKind | None = None


class DeliveryQuery(ProgramQuery):
    """Filters of deliveries."""

    webhook: uuid.UUID | None = None
    event: uuid.UUID | None = None
    state: DeliveryState | None = None


class WebhookRequest(Document):
    """Where events of a program are to be sent; no `kinds`: every kind."""

    program: Name
    url: Url
    kinds: Kinds = Field([])
    description: Text = ""


class WebhookChange(Document):
    """What is to change; while a webhook is not enabled nothing is sent and nothing new is queued for it."""

    url: Url | None = None
    kinds: Kinds | None = None
    description: Text | None = None
    enabled: bool | None = None


class WebhookItem(ProgramRow):
    """A webhook without its secret; `disabled_reason` when its receiver wanted no more."""

    url: str
    kinds: list[EventKind]
    description: str
    enabled: bool
    disabled_reason: str | None
    previous_secret_until: datetime | None
    created_by: str


class NewWebhook(WebhookItem):
    """A webhook with the secret that signs what is sent to it. It is shown this once."""

    secret: str


class DeliveryItem(ProgramRow):
    """An event on its way to a webhook; `reason` is why the last try failed."""

    subscription_id: uuid.UUID
    event_id: uuid.UUID
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime
    lease_expires_at: datetime | None
    last_status: int | None
    reason: str | None
    delivered_at: datetime | None
