"""Webhooks: where events are sent, and what became of each."""

import uuid
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories import deliveries, webhooks
from db.repositories.access import Action
from db.repositories.catalogue import read_row
from db.repositories.monitoring_catalogue import WEBHOOK_DELIVERIES, WEBHOOKS
from db.repositories.webhooks import NewSubscription
from services.api.answers import JsonAnswer
from services.api.context import RequestContext, RequestUnit, acting
from services.api.contract import describe_problems
from services.api.listing import answer_list, answer_row, describe_page, describe_row
from services.api.webhook_documents import (
    DeliveryItem,
    DeliveryQuery,
    NewWebhook,
    WebhookChange,
    WebhookItem,
    WebhookQuery,
    WebhookRequest,
)
from services.problems import Problem
from services.webhooks.addresses import BadAddress, check_url, read_networks
from services.webhooks.signing import new_secret

router = APIRouter(tags=["webhooks"])

ReadsWebhooks = Annotated[RequestContext, acting(Action.READ_WEBHOOKS)]
WritesWebhooks = Annotated[RequestContext, acting(Action.WRITE_WEBHOOKS)]
_ONCE = {"Cache-Control": "no-store"}
_NO_CONTENT = {204: {"description": "done"}, **describe_problems("not-found")}


@router.get("/webhooks", responses=describe_page(WebhookItem))
def list_webhooks(query: Annotated[WebhookQuery, Query()], context: ReadsWebhooks) -> Response:
    """Return webhooks."""
    return answer_list(context, WEBHOOKS, query)


@router.get("/webhooks/{webhook_id}", responses=describe_row(WebhookItem))
def read_webhook(webhook_id: uuid.UUID, request: Request, context: ReadsWebhooks) -> Response:
    """Return a webhook."""
    return answer_row(request, context, WEBHOOKS, webhook_id)


@router.post(
    "/webhooks",
    status_code=201,
    responses={201: {"model": NewWebhook}, **describe_problems("conflict", "not-found")},
)
def create_webhook(body: WebhookRequest, context: WritesWebhooks) -> Response:
    """Let events of a program be sent to an address. The secret that signs them is shown in this answer only."""
    secret = new_secret()
    new = NewSubscription(body.program, body.url, sorted(set(body.kinds)), body.description, secret)
    with context.begin() as unit:
        _check(context, body.url)
        identity = webhooks.create(unit.connection, unit.caller, new)
        return _show_secret(unit, identity, secret, 201)


@router.patch("/webhooks/{webhook_id}", responses={200: {"model": WebhookItem}, **describe_problems("not-found")})
def change_webhook(webhook_id: uuid.UUID, body: WebhookChange, context: WritesWebhooks) -> Response:
    """Change a webhook, or let it rest: what waits is sent once it is enabled again."""
    changes = body.model_dump(exclude_none=True)
    with context.begin() as unit:
        if body.url is not None:
            _check(context, body.url)
        webhooks.change(unit.connection, unit.caller, webhook_id, changes)
        document = read_row(unit.connection, unit.caller, WEBHOOKS, webhook_id).encode()
    return JsonAnswer(document)


@router.post("/webhooks/{webhook_id}/secret", responses={200: {"model": NewWebhook}, **describe_problems("not-found")})
def replace_secret(webhook_id: uuid.UUID, context: WritesWebhooks) -> Response:
    """Replace a webhook's secret; the old one signs as well for a day. The new one is shown in this answer only."""
    secret = new_secret()
    with context.begin() as unit:
        webhooks.replace_secret(unit.connection, unit.caller, webhook_id, secret)
        return _show_secret(unit, webhook_id, secret, 200)


@router.delete("/webhooks/{webhook_id}", status_code=204, response_class=Response, responses=_NO_CONTENT)
def delete_webhook(webhook_id: uuid.UUID, context: WritesWebhooks) -> Response:
    """Delete a webhook with its deliveries; what waits is not sent."""
    with context.begin() as unit:
        webhooks.remove(unit.connection, unit.caller, webhook_id)
    return Response(status_code=204)


@router.get("/webhook-deliveries", responses=describe_page(DeliveryItem))
def list_deliveries(query: Annotated[DeliveryQuery, Query()], context: ReadsWebhooks) -> Response:
    """Return deliveries."""
    return answer_list(context, WEBHOOK_DELIVERIES, query)


@router.get("/webhook-deliveries/{delivery_id}", responses=describe_row(DeliveryItem))
def read_delivery(delivery_id: uuid.UUID, request: Request, context: ReadsWebhooks) -> Response:
    """Return a delivery, and why its last try failed."""
    return answer_row(request, context, WEBHOOK_DELIVERIES, delivery_id)


@router.post(
    "/webhook-deliveries/{delivery_id}/redeliver",
    status_code=202,
    responses={202: {"model": DeliveryItem}, **describe_problems("conflict", "not-found")},
)
def redeliver(delivery_id: uuid.UUID, context: WritesWebhooks) -> Response:
    """Send an event again, under the same id, whatever became of it."""
    with context.begin() as unit:
        deliveries.redeliver(unit.connection, unit.caller, delivery_id)
        document = read_row(unit.connection, unit.caller, WEBHOOK_DELIVERIES, delivery_id).encode()
    return JsonAnswer(document, status_code=202)


def _check(context: RequestContext, url: str) -> None:
    """Refuse what is no address or leads where nothing may be sent; names are resolved when something is sent."""
    try:
        check_url(url, read_networks(context.state.settings.webhook_networks))
    except BadAddress as error:
        raise Problem("invalid-request", str(error)) from error


def _show_secret(unit: RequestUnit, identity: uuid.UUID, secret: str, status: int) -> Response:
    row = orjson.loads(read_row(unit.connection, unit.caller, WEBHOOKS, identity))
    return JsonAnswer(row | {"secret": secret}, status_code=status, headers=_ONCE)
