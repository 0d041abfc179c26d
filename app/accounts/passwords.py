"""Passwords: argon2id with the parameters of the OWASP password storage cheat sheet."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Invalid

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
SHORTEST = 10
LONGEST = 256
COMMON = frozenset(
    [
        "password12",
        "1234567890",
        "qwertyuiop",
        "0123456789",
        "passwordpassword",
        "letmein123",
        "iloveyou12",
    ]
)
# What an unknown account is compared with, so that the answer takes as long as for a known one.
NOBODY = HASHER.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The argon2id hash of a new password. Raises Invalid where it is too easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"Use {SHORTEST} to {LONGEST} characters.", field="password")
    if password.lower() in COMMON or len(set(password)) < 4:
        raise Invalid("This password is among the first that anyone would try.", field="password")
    return HASHER.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one; takes its time for an unknown account, too."""
    try:
        HASHER.verify(stored or NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
