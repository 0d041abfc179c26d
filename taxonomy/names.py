"""What a name and a key may look like."""

import hashlib
import re
import unicodedata
from collections.abc import Container

from taxonomy.folding import PLAIN_LETTERS

MAX_NAME_LENGTH = 80
MAX_KEY_LENGTH = 80

_KEY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LINE_BREAK = re.compile("[\n\r\v\f\x85\u2028\u2029]")
# Characters that are not seen but change what is: zero-width space, byte order mark, and the
# marks that turn the reading direction. Joiners stay: Persian and Hindi need them.
_INVISIBLE = frozenset("\u200b\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Letters to Unicode, and nothing on the screen: fillers of Hangul, the empty cell of Braille.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def is_blank(text: str) -> bool:
    """Whether nobody would see anything of this text, as of joiners with nothing to join."""
    return all(
        each.isspace() or each in _FILLERS or unicodedata.category(each) == "Cf" for each in text
    )


def squeeze(text: str) -> str:
    """The text in Unicode form NFC, every run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def control_character(text: str) -> str | None:
    """The first character that text may not hold (control, surrogate, none at all), as U+XXXX, or None.

    Line breaks and tabs are white space and allowed here. What Unicode says is no character cannot stand
    in XML, of which several formats are made.
    """
    # None of them is printable, and most texts are: a tree of 500 nodes has 100,000 characters.
    if text.isprintable():
        return None
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in "\t\n\r":
            return f"U+{ord(character):04X}"
        if _is_noncharacter(ord(character)):
            return f"U+{ord(character):04X}"
    return None


def _is_noncharacter(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def tidy_name(text: str, *, attribute: bool = False) -> str:
    """The name as it is stored: NFC, white space collapsed and stripped.

    Raises ValueError with a sentence for the person who typed it: empty, longer than 80
    characters, control or invisible characters, and for an attribute a comma or a line break.
    """
    wrong = control_character(text) or next(
        (f"U+{ord(character):04X}" for character in text if character in _INVISIBLE), None
    )
    if wrong:
        raise ValueError(f"The name holds an invisible character ({wrong}); remove it.")
    if attribute and _LINE_BREAK.search(text.strip()):
        raise ValueError("An attribute name is one line; remove the line break.")
    name = squeeze(text)
    if is_blank(name):
        raise ValueError("The name is empty; give it one.")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            f"The name has {len(name)} characters; {MAX_NAME_LENGTH} are allowed. "
            "Put the details into the definition."
        )
    if attribute and "," in name:
        raise ValueError(
            "An attribute name cannot hold a comma, because a comma separates attributes in "
            "prompts; reword it."
        )
    return name


def slug(text: str) -> str:
    """A key made from a name: plain lower-case letters, digits and single hyphens.

    A name without any Latin letter or digit gets a key made from its hash, so the same name
    always gives the same key.
    """
    plain = unicodedata.normalize("NFKD", text.casefold().translate(PLAIN_LETTERS))
    plain = "".join(c for c in plain if not unicodedata.combining(c) and c not in "'’")
    key = "-".join(re.findall("[a-z0-9]+", plain))[:MAX_KEY_LENGTH].strip("-")
    if key:
        return key
    digest = hashlib.sha256(squeeze(text).encode("utf-8", "surrogatepass")).hexdigest()
    return f"x-{digest[:10]}"


def new_key(name: str, taken: Container[str]) -> str:
    """A key made from the name that is not in `taken`, numbered from 2 where needed.

    Keys are never reused, so `taken` must hold the keys of removed nodes too.
    """
    key = slug(name)
    number = 1
    candidate = key
    while candidate in taken:
        number += 1
        ending = f"-{number}"
        candidate = key[: MAX_KEY_LENGTH - len(ending)].strip("-") + ending
    return candidate


def is_key(text: str) -> bool:
    """Whether the text may be a key: a-z, 0-9 and single hyphens inside, at most 80 characters."""
    return len(text) <= MAX_KEY_LENGTH and _KEY.fullmatch(text) is not None
