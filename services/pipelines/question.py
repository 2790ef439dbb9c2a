"""Questions of every family: a document checked against the model of what may be asked, refused in one sentence."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Request = TypeVar("Request", bound=BaseModel)


def read_question(kind: type[Request], question: Mapping[str, Any]) -> Request:
    """Return the request of ``kind`` that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    try:
        return kind.model_validate(question)
    except ValidationError as error:
        wrong = (f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
        raise ValueError("; ".join(wrong)) from error
