"""How text of each encoding looks when it is read right: which letters, in which order and company.

A reading is plausible only where every sign in it is one that people of some language write. Several
plausible readings that differ mean that nothing is certain.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Signs that stand in texts of the west beside letters, and those that may stand inside a word.
QUOTES = frozenset("‘’‚“”„–—…•°«»¡¿\u00a0")
SIGNS = QUOTES | frozenset("€§©®™£¥½¼¾²³×±ªº№·")
IN_WORDS = frozenset("’‘·'-")
# These never touch a letter that follows: a price and a paragraph are followed by a number.
BEFORE_NUMBERS = frozenset("€£¥§©±×½¼¾²³")
BEHIND_NAMES = frozenset("®™")
# What opens has to close: letters of other encodings look like the opening sign alone.
CLOSED_BY = {"¿": "?", "¡": "!", "«": "»"}
NEVER_BESIDE_LETTERS = frozenset("@[\\^`{}~")
# Elisions and short forms, by which an apostrophe is known for one.
APOSTROPHE = re.compile(
    r"\b(?:[dljnmstc]|qu|it|don|can|isn)’\w|\w’(?:s|t|d|ll|re|ve|m)\b", re.IGNORECASE
)
# How much more often one meets files of each encoding, where their texts look alike.
WEIGHTS = {
    "cp1252": 1.05,
    "cp1257": 0.9,
    "mac_roman": 0.85,
    "cp850": 0.85,
    "cp852": 0.8,
    "mac_cyrillic": 0.8,
    "iso8859_5": 0.8,
}

_LATIN = {
    "cp1252": (
        "àâæçéèêëîïôœùûüÿ",
        "äöüßé",
        "áéíóúüñ",
        "àáâãçéêíóôõúü",
        "àèéìíîòóùú",
        "æøåéèóòüöä",
        "åäöéèü",
        "éëïèöüáóí",
        "àçèéíïòóúü",
        "áæðéíóöúýþ",
    ),
    "cp1250": (
        "ąćęłńóśźż",
        "áčďéěíňóřšťúůýž",
        "áäčďéíĺľňóôŕšťúýž",
        "áéíóöőúüű",
        "čćđšž",
        "ăâîşţ",
        "äöüßé",
    ),
    "cp1254": ("çğıöşüâîûİ", "çğıöşü"),
    "cp1257": ("āčēģīķļņšūž", "ąčęėįšųūž", "äöõüšž"),
}
LATIN = {
    **_LATIN,
    "mac_roman": _LATIN["cp1252"],
    "cp850": _LATIN["cp1252"],
    "cp852": _LATIN["cp1250"],
}
LEADS_WORD = re.compile(r"(?<![^\s,;|\"])([“”„‘’•–—])(?=[^\W\d_])")
CLOSES_LOW = frozenset("“”")
# Letters of an alphabet from the most frequent to the least, as long texts have them.
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_UKRAINIAN = "оаниіетврслкудмпяьзгчбйхжїюцшщєфґ'"
_BELARUSIAN = "аінеорстлкдупмывязьгбчйшцжюўёхэф'"
_SERBIAN = "аоиенртјсвлукпдмзбгчшцњћжђхљфџ"
ORDERED = {
    "cp1251": (_RUSSIAN, _UKRAINIAN, _BELARUSIAN, _SERBIAN),
    "koi8_r": (_RUSSIAN,),
    "koi8_u": (_UKRAINIAN,),
    "cp866": (_RUSSIAN,),
    "mac_cyrillic": (_RUSSIAN,),
    "iso8859_5": (_RUSSIAN,),
    "cp1253": ("αοιετσνηυρπκμλςάίόέδγωήύχώθφβξζψϊϋΐΰ",),
    "cp1255": ("יוהלאתמרבשנכםעדחפקטגצסזןךףץ",),
    "cp1256": ("اليمنرتوبةعدسفهكقحجشطصخأءذزىضغثئظؤإآ",),
    "cp874": ("านรอกเงมยลวดทตสะปคบ่้หัิีขแุู์ไำจพโชึผใซ็ถฟืธศณ",),
}
# Their second bytes may be ASCII, so a letter of a western text can seem to be part of a sign.
MAY_SWALLOW = ("cp950", "cp932")
# Korean parts words by spaces; Chinese and Japanese do not.
EAST_WORDS = re.compile(r"[\u4e00-\u9fff\uac00-\ud7a3] (?=[\u4e00-\u9fff\uac00-\ud7a3])")
EAST = ("gb18030", "cp950", "cp932", "euc_jp", "cp949")
# Words of one letter, in any of the languages above.
ALONE = frozenset("àáâäèéêëìíòóôöùåøæÀÁÂÄÈÉÊÒÓÔÖÅØÆº")
# Letters that no vowel follows but these: a grave or round accent, a soft consonant.
NEVER_BEFORE = {
    **dict.fromkeys("èàêâîôûù", ""),
    "œ": "ui",
    "ą": "",
    "ę": "",
    "ś": "",
    "ź": "",
    "ń": "",
    "ă": "ui",
}
# No word begins so: `Œ` stands before few consonants, `Ę` and `Ÿ` before none, `Æ` before no vowel.
NEVER_FIRST = {
    "æ": "aeiouyæøå",
    "œ": "wkzjlmbpgvf",
    "ę": "bcdfghjklmnprstvwz",
    "ÿ": "bcdfghjklmnprstvwz",
}
# Icelandic has these and Turkish does not, whose letters stand in the same places.
ICELANDIC_ALONE = frozenset("æáéíóú")
VOWELS = frozenset("aeiouyæœøåıаеиоуыэюяієї")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as one encoding reads it; `likeness` grows with how much it looks like writing."""

    encoding: str
    text: str
    likeness: float


def readings(data: bytes, extra: tuple[str, ...] = ()) -> list[Reading]:
    """The plausible readings of bytes that are no UTF-8, the likeliest first."""
    found = [
        Reading(encoding, text, likeness)
        for encoding in (*LATIN, *ORDERED, *EAST, *extra)
        if (text := _decoded(data, encoding)) is not None
        and (likeness := _likeness(text, encoding)) > 0
    ]
    return sorted(found, key=lambda each: -each.likeness)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except UnicodeError:
        return None
    return None if any(_is_control(c) for c in text) else text


def _is_control(char: str) -> bool:
    return char not in "\t\r\n\f" and unicodedata.category(char) in ("Cc", "Co", "Cn", "Cs")


def _likeness(text: str, encoding: str) -> float:
    if encoding in EAST:
        return _like_east(text, encoding)
    if not _signs_stand_well(text) or not all(map(_is_word, _words(text))):
        return 0.0
    if encoding in ORDERED:
        if all(len(word) == 1 for word in _words(text)) or _has_capital_as_sign(text):
            return 0.0
        fit = max(_like_ordered(text, order) for order in ORDERED[encoding])
        return fit * WEIGHTS.get(encoding, 1.0)
    return _like_latin(text, LATIN.get(encoding, ())) * WEIGHTS.get(encoding, 1.0)


def _words(text: str) -> Iterator[str]:
    return (found[0] for found in re.finditer(r"[^\W\d_]+", text) if not found[0].isascii())


def _signs_stand_well(text: str) -> bool:
    """Whether all signs are ones that people type, and none but a dash or an apostrophe is in a word."""
    if any(first in text and last not in text for first, last in CLOSED_BY.items()):
        return False
    for at, char in enumerate(text):
        if char.isascii():
            continue
        if char.isalpha() or unicodedata.combining(char):
            if text[at + 1 : at + 2] in NEVER_BESIDE_LETTERS:
                return False
            continue
        if char not in SIGNS and char not in IN_WORDS:
            return False
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if char not in IN_WORDS and char not in "–—…" and before.isalpha() and after.isalpha():
            return False
        if char in BEFORE_NUMBERS and (after.isalpha() or before.isalpha()):
            return False
        if (char in BEHIND_NAMES and after.isalpha()) or (char == "•" and after in SIGNS):
            return False
    return True


def _is_word(word: str) -> bool:
    """Whether capitals stand as in words, and the letters are of one script."""
    rest = word[1:]
    lower = [c for c in rest if c.islower()]
    upper = [c for c in rest if c.isupper()]
    # `MacDonald` has capitals inside, but none of ours is a letter that is no ASCII.
    if lower and any(not c.isascii() for c in upper):
        return False
    if upper and word[0].islower():
        return False
    scripts = {unicodedata.name(c, "?").partition(" ")[0] for c in word if c not in "ªº"}
    return len(scripts) == 1


def _has_capital_as_sign(text: str, signs: str = "“”„‘’•–—") -> bool:
    """Whether one quotation mark or dash, with no second one, leads a word: capitals of Macs look so, and
    the first half of a Japanese sign.
    """
    return any(
        found[1] in signs
        and text.count(found[1]) == 1
        and (found[1] != "„" or not CLOSES_LOW.intersection(text))
        and (found[1] != "“" or "”" not in text)
        for found in LEADS_WORD.finditer(text)
    )


def _like_ordered(text: str, order: str) -> float:
    """How well the frequency of letters fits, in (0, 1); 0 where a letter is not of the alphabet."""
    letters = [c for c in text if c.isalpha() and not c.isascii()]
    if not letters:
        return 0.0
    ranks = [order.find(c.lower()) for c in letters]
    strange = sum(rank < 0 for rank in ranks)
    if strange > len(letters) * 0.02:
        return 0.0
    # A word of two letters fits any alphabet.
    enough = 1.0 if len(letters) >= 4 else 0.6
    fit = enough * sum(1 - rank / len(order) for rank in ranks if rank >= 0) / len(letters)
    # Where small and capital letters change places (KOI8), a text is all capitals by mistake.
    capitals = sum(c.isupper() for c in letters) / len(letters)
    return max(0.01, fit - 0.4 * max(0.0, capitals - 0.5))


def _like_latin(text: str, alphabets: tuple[str, ...]) -> float:
    letters = _special(text)
    if not letters:
        if _has_capital_as_sign(text, "“”„"):
            return 0.0
        others = {c for c in text if not c.isascii()}
        return 1.1 if APOSTROPHE.search(text) else 0.75 if others <= QUOTES else 0.55
    if any(len(word) == 1 and word not in ALONE for word in _words(text)):
        return 0.0
    if letters & {"ð", "þ"} and not letters & ICELANDIC_ALONE:
        return 0.0
    whole = any(letters <= set(alphabet) for alphabet in alphabets)
    if not whole and not letters <= set("".join(alphabets)):
        return 0.0
    tested = strange = 0
    for word in _words(text):
        if not any(_special(word) <= set(alphabet) for alphabet in alphabets):
            strange += len(_special(word))
        for at, char in enumerate(word):
            if not char.isascii():
                tested += 1
                strange += _stands_ill(word, at)
    return (0.9 if whole else 0.6) * max(0.0, 1 - strange / max(tested, 1)) ** 2 + 0.01


def _special(text: str) -> set[str]:
    """Its letters that are no ASCII, as small ones."""
    return {c.lower() if c not in "İı" else c for c in text if c.isalpha() and not c.isascii()}


def _stands_ill(word: str, at: int) -> bool:
    """Whether a letter stands where its kind seldom does: a vowel between vowels, or a consonant
    that no vowel is near.
    """
    around = [word[i] for i in (at - 1, at + 1) if 0 <= i < len(word)]
    vowels = [_is_vowel(c) for c in around]
    char, after = word[at].lower(), word[at + 1 : at + 2].lower()
    if char in NEVER_BEFORE and _is_vowel(after or "-") and after not in NEVER_BEFORE[char]:
        return True
    if char == "œ" and (not after or after in "wkzj"):
        return True
    if at == 0 and after and after in NEVER_FIRST.get(char, ""):
        return True
    if _is_vowel(char):
        return len(around) == 2 and all(vowels)
    return bool(vowels) and not any(vowels)


def _is_vowel(char: str) -> bool:
    bare = unicodedata.normalize("NFD", char.lower())[:1]
    return bare in VOWELS


# The rows of each national standard that hold what is written every day: lead bytes, both included.
_COMMON = {"gb18030": (0xB0, 0xD7), "cp950": (0xA4, 0xC6), "euc_jp": (0xB0, 0xCF)}


def _like_east(text: str, encoding: str) -> float:
    common = rare = kana = 0
    strange = 0
    for at, char in enumerate(text):
        if char.isascii():
            continue
        kind = _east_kind(char, encoding)
        common += kind == "common"
        kana += kind == "kana"
        rare += kind == "rare"
        strange += kind == "strange" or (
            encoding in MAY_SWALLOW and kind != "sign" and _glued_to_latin(text, at)
        )
    total = common + rare + kana
    parted = len(EAST_WORDS.findall(text))
    if not total or strange > 0.1 * total:
        return 0.0
    share = (common + kana) / total
    if share < 0.8:
        return 0.0
    # Two signs say too little: other encodings make two others of them.
    if total <= 2:
        return 0.5
    if encoding == "cp949":
        return share + (0.15 if parted else 0.0)
    if encoding == "euc_jp":
        # Without its own letters Japanese looks like Chinese.
        return share + (0.15 if kana * 2 >= total else 0.0 if kana else -0.1)
    return share * (0.85 if parted else 1.0)


def _glued_to_latin(text: str, at: int) -> bool:
    beside = text[at - 1 : at] + text[at + 1 : at + 2]
    return any("a" <= c <= "z" for c in beside)


def _east_kind(char: str, encoding: str) -> str:
    code = ord(char)
    if 0x3000 <= code <= 0x303F or 0xFF01 <= code <= 0xFF5E or char in "‘’“”…—·《》":
        return "sign"
    if 0x3041 <= code <= 0x30FE:
        return "kana" if encoding in ("cp932", "euc_jp") else "strange"
    if 0xAC00 <= code <= 0xD7A3:
        raw = char.encode("cp949")
        return "common" if 0xB0 <= raw[0] <= 0xC8 and raw[1] >= 0xA1 else "rare"
    if not 0x4E00 <= code <= 0x9FFF:
        return "strange"
    raw = char.encode(encoding)
    if encoding == "cp949":
        return "rare"
    if encoding == "cp932":
        return "common" if 0x889F <= int.from_bytes(raw, "big") <= 0x9872 else "rare"
    first, last = _COMMON[encoding]
    # The part of GBK that is no GB 2312 holds what is hardly ever written today.
    if encoding == "gb18030" and (len(raw) != 2 or raw[0] < 0xA1 or raw[1] < 0xA1):
        return "strange"
    return "common" if first <= raw[0] <= last else "rare"
