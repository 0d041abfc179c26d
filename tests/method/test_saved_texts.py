"""Texts in the encodings of the world: read right, or refused with the way out; never read wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from method.saved_texts import (
    UnreadableText,
    fault_in,
    one_line,
    read_names,
    read_text,
    several_lines,
)

LONG = {
    "cp1252": [
        "Das Café am Fluß, Öl auf Leinwand",
        "L’été à la campagne – “lumière” sur les blés…",
        "Niños en la playa; Joaquín, 1909",
        "São Vicente, painéis; ceia e pregação",
        "Høstaften ved sjøen, blå bølger",
        "price: 20 € at 30 °C",
        "it’s raining",
        "Þingvellir að vetri, Ægir",
    ],
    "mac_roman": ["Près d’Aix, “la forêt”", "Die schöne Müllerin, Gemälde über Brüder"],
    "cp1250": ["Zażółć gęślą jaźń", "Příliš žluťoučký kůň, Dvořák", "árvíztűrő tükörfúrógép"],
    "cp1254": ["İstanbul’da gün batımı, ışık ve gölge"],
    "cp1251": [
        "Звёздная ночь над Роной",
        "Утро в сосновом лесу, 1889",
        "Жаўнер і кветкі",
    ],
    "koi8_r": ["Звёздная ночь над Роной"],
    "gb18030": ["湖边的春天，远处有山", "file,prompt\na.png,星空下的村庄\n"],
    "cp950": ["湖邊的春天，遠處有山"],
    "cp932": ["富士山の夕暮れ、雲と湖"],
    "euc_jp": ["富士山の夕暮れ、雲と湖"],
    "cp949": ["별이 빛나는 밤의 호수"],
}
SHORT = {
    "cp1252": ["Öl", "naïve", "forêt", "niño", "£5", "50 %–60 %"],
    "mac_roman": ["schön", "Straße", "niño", "café"],
    "cp850": ["schön", "café", "niño"],
    "cp1250": ["wieś", "Łódź", "Dubček", "čaj", "krótka", "Świat", "śmierć", "i życie", "źrebię"],
    "cp1258": ["Đêm trăng trên sông"],
    "iso8859_2": ["Žena", "Žena v šátku", "Žetva i šuma"],
    "mac_cyrillic": ["Утро", "Чёрный квадрат", "a.png,Девочка на шаре"],
    "cp1254": ["şeker", "ışık"],
    "cp1253": ["νύχτα", "Η θάλασσα το βράδυ"],
    "cp1255": ["שלום עולם"],
    "cp1256": ["مرحبا بالعالم"],
    "cp1251": ["ночь", "вал", "Сеоба Срба, ђак и ћуп", "“Осень”, вал"],
    "koi8_r": ["ночь", "вал"],
    "cp866": ["ночь", "вал", "Ель"],
    "gb18030": ["睡莲", "山水", "日本海"],
    "cp950": ["睡蓮", "山水", "日本海"],
    "cp932": ["睡蓮", "ひまわり", "日本海", "風景", "猫", "猫, oil on canvas"],
    "euc_jp": ["睡蓮", "ひまわり", "日本海"],
    "cp949": ["수련", "해바라기"],
}


@pytest.mark.parametrize(("encoding", "text"), [(e, t) for e, each in LONG.items() for t in each])
def test_a_line_of_text_is_read_in_the_encoding_it_is_in(encoding: str, text: str) -> None:
    saved = read_text(text.encode(encoding))
    assert saved.text == text and "not UTF-8" in saved.note


@pytest.mark.parametrize(("encoding", "text"), [(e, t) for e, each in SHORT.items() for t in each])
def test_what_is_not_certain_is_refused_and_not_guessed(encoding: str, text: str) -> None:
    data = text.encode(encoding, "ignore")
    with suppress(UnreadableText):
        assert read_text(data).text == data.decode(encoding)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("text", ["file,prompt\r\né.png,睡蓮 и ночь\r\n", "plain\n"])
def test_unicode_is_read_with_and_without_its_mark(encoding: str, text: str) -> None:
    saved = read_text(text.encode(encoding))
    assert saved.text == text and saved.note == ""


@pytest.mark.parametrize("data", [b"\xff\xfea", b"\xef\xbb\xbfcaf\xe9", bytes(range(256)) * 4])
def test_what_is_damaged_or_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableText, match="UTF-8"):
        read_text(data)


def test_lines_end_as_any_system_ends_them() -> None:
    assert read_text(b"a\r\nb\rc\nd\x0be").lines() == ["a", "b", "c", "d\x0be"]


def test_signs_that_nobody_wrote() -> None:
    assert fault_in("a\tb\nc é 睡") is None
    assert "zero byte" in (fault_in("a\0") or "")
    assert "control character" in (fault_in("a\x85b") or "")
    assert "earlier program" in (fault_in("caf\ufffd") or "")


def test_names_of_an_archive_are_read_together() -> None:
    names = ["Утро.png", "ночь.png", "plain.png"]
    assert read_names([each.encode("cp866") for each in names]) == names
    assert read_names([b"\xe8\xfe.png"]) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(UnreadableText):
        read_text(data)


@pytest.mark.parametrize(
    "text", ["\u200b", "\u200d\u200d", " \n\u3000", "\u3164", "\ufeff\u202e", "\u2800"]
)
def test_what_nobody_sees_is_no_text(text: str) -> None:
    assert one_line(text) == several_lines(text) == ""


def test_joiners_inside_words_stay() -> None:
    persian, family = "می\u200cروم", "👩\u200d👧"
    assert one_line(f" {persian}\n {family}") == f"{persian} {family}"
    assert several_lines(f"{persian}\r\n{family}\r") == f"{persian}\n{family}"
