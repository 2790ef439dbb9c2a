"""Passwords: hashed by argon2id, compared in the same time whether the account exists or not."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from services.problems import Problem

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 200


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _hash_of_nobody() -> str:
    return _hasher().hash("no account has this password")


def check_strength(password: str, name: str) -> None:
    """Raise a problem for a password that is too short, too long, or the account's own name.

    Length alone counts (NIST SP 800-63B, 3.1.1.2: no rules of composition).
    """
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise Problem("invalid-request", f"a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters")
    if name.lower() in password.lower() and len(password) < len(name) + LEAST_CHARACTERS:
        raise Problem("invalid-request", "a password is not made of the account's name")


def hash_password(password: str) -> str:
    """Return what is stored of a password."""
    return _hasher().hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Return whether ``password`` is the one of the hash ``stored``; takes as long when there is none."""
    try:
        matches = _hasher().verify(stored if stored is not None else _hash_of_nobody(), password[:MOST_CHARACTERS])
    except (Argon2Error, InvalidHashError):
        return False
    return matches and stored is not None
