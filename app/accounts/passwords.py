"""Passwords: argon2id with the parameters of the OWASP password storage cheat sheet."""

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Invalid

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Each hash takes its 19 MiB: however many sign in at once, so many are computed at a time.
_hashing = threading.BoundedSemaphore(4)
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


def normal_form(password: str) -> str:
    """A password as it is hashed: Unicode form NFKC, as NIST SP 800-63B advises.

    One keyboard sends an accented letter whole, another as letter and accent; one input method sends
    full-width letters. To the person they are the same. Case and blanks stay as typed.
    """
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """The argon2id hash of a new password. Raises Invalid where it is too easy to guess."""
    password = normal_form(password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"Use {SHORTEST} to {LONGEST} characters.", field="password")
    if password.lower() in COMMON or len(set(password)) < 4:
        raise Invalid("This password is among the first that anyone would try.", field="password")
    with _hashing:
        return HASHER.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one; takes its time for an unknown account, too."""
    return _matching(stored, password) is not None


def renewed_hash(stored: str, password: str) -> str | None:
    """A new hash for a password that was found right, where the stored one was made in another form or
    with other parameters; None where it is as it should be.
    """
    normal = normal_form(password)
    if _matching(stored, password) == normal and not HASHER.check_needs_rehash(stored):
        return None
    with _hashing:
        return HASHER.hash(normal)


def _matching(stored: str | None, password: str) -> str | None:
    """The form of the password that the hash was made of, or None.

    Hashes of earlier releases were made of whatever the browser sent: as typed now, whole or taken apart.
    """
    forms = [normal_form(password), password]
    forms += [unicodedata.normalize(form, password) for form in ("NFC", "NFD")]
    for form in dict.fromkeys(forms):
        try:
            with _hashing:
                HASHER.verify(stored or NOBODY, form)
        except (VerificationError, InvalidHashError):
            continue
        return form if stored is not None else None
    return None
