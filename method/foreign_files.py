"""What a file is that is no picture we take, told from its first bytes, and how to bring it all the same."""

import zipfile
from io import BytesIO

PNG = "Save it as PNG, which loses nothing, or as JPEG, and bring that."
FIRST = "Save it as a picture (PNG or JPEG) first."
UNPACK = "Unpack it and bring the pictures, or make a ZIP archive of them."
TABLE = "To bring prompts, save the sheet as “CSV UTF-8”, with the columns file and prompt."
PLAIN = "To bring prompts, save them as a CSV in UTF-8, with the columns file and prompt."

# (where, mark, what it is, what to do)
MARKS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"GIF8", "a GIF", PNG),
    (0, b"BM", "a BMP", PNG),
    (
        0,
        b"II*\0\x10\0\0\0CR",
        "a raw file of a camera (CR2)",
        "Develop it and save it as PNG or JPEG.",
    ),
    (0, b"II*\0", "a TIFF or a raw file of a camera", PNG),
    (0, b"MM\0*", "a TIFF or a raw file of a camera", PNG),
    (0, b"II+\0", "a TIFF", PNG),
    (0, b"MM\0+", "a TIFF", PNG),
    (0, b"IIRO", "a raw file of a camera (ORF)", "Develop it and save it as PNG or JPEG."),
    (0, b"IIU\0", "a raw file of a camera (RW2)", "Develop it and save it as PNG or JPEG."),
    (
        0,
        b"FUJIFILMCCD-RAW",
        "a raw file of a camera (RAF)",
        "Develop it and save it as PNG or JPEG.",
    ),
    (0, b"%PDF", "a PDF", FIRST),
    (0, b"%!PS", "a PostScript file", FIRST),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file", FIRST),
    (0, b"8BPS", "a Photoshop file", PNG),
    (0, b"gimp xcf", "a GIMP file", "Export it as PNG and bring that."),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000", PNG),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000", PNG),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL", PNG),
    (0, b"\xff\x0a", "a JPEG XL", PNG),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file", PNG),
    (0, b"#?RADIANCE", "a Radiance HDR file", PNG),
    (0, b"AT&TFORM", "a DjVu document", FIRST),
    (0, b"\0\0\1\0", "an icon file", PNG),
    (0, b"Rar!", "a RAR archive", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"\x1f\x8b", "a gzip archive (.gz, .tar.gz)", UNPACK),
    (0, b"BZh", "a bzip2 archive (.bz2, .tar.bz2)", UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive (.xz, .tar.xz)", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive (.zst)", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"!<arch>", "an archive of a program", UNPACK),
    (0, b"\xd0\xcf\x11\xe0", "an older Office document (.xls, .doc)", TABLE),
    (0, b"PAR1", "a Parquet table", PLAIN),
    (0, b"SQLite format 3", "an SQLite database", PLAIN),
    (0, b"{\\rtf", "a document (RTF)", PLAIN),
    (0, b"\x1a\x45\xdf\xa3", "a video", "Take single pictures out of it and bring those."),
    (0, b"OggS", "a sound or video", ""),
    (0, b"ID3", "a sound", ""),
    (0, b"\x7fELF", "a program", ""),
    (0, b"MZ", "a program", ""),
    (0, b"\0\x05\x16\x07", "a companion that macOS writes", ""),
    (0, b"bplist", "a companion that macOS writes", ""),
)
# Marks that are words of everyday texts, too.
TWO_LETTERS = (b"BM", b"MZ", b"ID3", b"BZh", b"PAR1", b"OggS", b"GIF8")
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")
BRANDS = {
    b"heic": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"hevc": "a HEIC picture",
    b"mif1": "a HEIC picture",
    b"msf1": "a HEIC picture",
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture",
    b"crx ": "a raw file of a camera (CR3)",
}
HEIC_HINT = "Save it as JPEG or PNG; a telephone does so where its camera is set to the most compatible format."


def describe(data: bytes) -> tuple[str, str] | None:
    """What a file is and what to do with it, or None where nothing is known about it."""
    if data[4:8] == b"ftyp":
        found = BRANDS.get(data[8:12])
        if found:
            return found, HEIC_HINT
        return "a video", "Take single pictures out of it and bring those."
    if data.startswith(b"RIFF") and data[8:12] in (b"WAVE", b"AVI "):
        return ("a sound" if data[8:12] == b"WAVE" else "a video"), ""
    if data.startswith((b"PK\3\4", b"PK\5\6")):
        return _in_zip(data)
    for at, mark, what, hint in MARKS:
        if data[at : at + len(mark)] == mark:
            return what, hint
    return _words(data)


def describe_no_text(data: bytes) -> str | None:
    """What a file is that was given in a text's place, or None where its first bytes could begin a text."""
    could_be = data.startswith(TWO_LETTERS) and b"\0" not in data[:64]
    found = None if could_be else describe(data)
    if found is None and data.startswith(PICTURES):
        return "a picture"
    if found is None:
        return None
    return "a web page (HTML)" if "HTML" in found[0] else found[0]


def _in_zip(data: bytes) -> tuple[str, str]:
    """Documents of offices are ZIP archives; their parts tell which."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = [each.filename for each in archive.infolist()[:200]]
    # Whatever the archive is like, it is at least called one.
    except Exception:  # noqa: BLE001
        names = []
    if any(each.startswith("xl/") for each in names):
        return "an Excel workbook (.xlsx)", TABLE
    if any(each.startswith(("word/", "ppt/")) for each in names):
        return "an Office document", PLAIN
    start = data[:200]
    if b"opendocument.spreadsheet" in start:
        return "a LibreOffice spreadsheet (.ods)", TABLE
    if b"opendocument" in start:
        return "a LibreOffice document", PLAIN
    if b"application/x-krita" in start or b"image/openraster" in start:
        return "a painting program's file", "Export it as PNG and bring that."
    if b"application/epub" in start:
        return "a book (EPUB)", FIRST
    return "a ZIP archive", "An archive inside another is not opened: bring it by itself."


def _words(data: bytes) -> tuple[str, str] | None:
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page", "A server may have sent it in place of the picture; fetch it again."
    if b"<svg" in data[:4096].lower():
        return "an SVG drawing", FIRST
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "Fetch the picture itself with `git lfs pull`."
    return None
