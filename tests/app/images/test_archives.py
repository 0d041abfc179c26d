"""ZIP archives made to harm."""

import errno
import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from app.images import archives
from app.images.archives import ArchiveRefused, open_archive
from app.images.decoding import ImageRefused
from app.settings import settings
from tests.app.images import corpus


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    return path


def test_a_directory_too_large_to_read_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, corpus.archive({f"{n}.png": b"x" for n in range(50)}))
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(ArchiveRefused, match="too many files"), open_archive(path):
        pass


def test_the_size_of_a_zip64_directory_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    path = written(tmp_path, corpus.archive({f"{n}.png": b"x" for n in range(50)}))
    assert b"PK\x06\x06" in path.read_bytes()
    with open_archive(path) as archive:
        assert len(list(archives.entries(archive))) == 50
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(ArchiveRefused, match="too many files"), open_archive(path):
        pass


def test_an_archive_that_unfolds_too_far_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "max_upload_mb", 1)
    path = written(tmp_path, corpus.archive({f"{n}.png": bytes(2_000_000) for n in range(12)}))
    assert path.stat().st_size < 100_000
    with pytest.raises(ArchiveRefused, match="unfolds"), open_archive(path):
        pass


def test_an_entry_that_lies_about_its_size(tmp_path: Path) -> None:
    data = bytearray(corpus.archive({"a.png": bytes(100_000)}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 50)
    with open_archive(written(tmp_path, bytes(data))) as archive:
        ((name, info),) = archives.entries(archive)
        assert archives.problem_of(name, info) is None
        with pytest.raises(ImageRefused, match="damaged"):
            archives.read_entry(archive, info, limit_bytes=1000)


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    with open_archive(written(tmp_path, corpus.archive({"a.png": bytes(100_000)}))) as archive:
        ((_, info),) = archives.entries(archive)
        assert len(archives.read_entry(archive, info, limit_bytes=1000)) == 1001


def test_an_encrypted_entry_is_named(tmp_path: Path) -> None:
    data = bytearray(corpus.archive({"a.png": b"x"}))
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    with open_archive(written(tmp_path, bytes(data))) as archive:
        ((name, info),) = archives.entries(archive)
        assert "password" in (archives.problem_of(name, info) or "")


@pytest.mark.parametrize("cut", [1, 30, 60, -10])
def test_an_archive_that_is_cut_short(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, corpus.archive({"a.png": corpus.png()})[:cut])
    with pytest.raises(ArchiveRefused), open_archive(path):
        pass


def test_an_empty_archive_holds_nothing(tmp_path: Path) -> None:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    with open_archive(written(tmp_path, out.getvalue())) as archive:
        assert list(archives.entries(archive)) == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (MemoryError(), MemoryError),
        (OSError(errno.EIO, "Input/output error"), OSError),
        (zlib.error("invalid block type"), ImageRefused),
    ],
)
def test_a_machine_at_its_end_damages_no_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception]
) -> None:
    def fail(*_: object) -> bytes:
        raise error

    path = tmp_path / "a.zip"
    path.write_bytes(corpus.archive({"a.png": corpus.png(1)}))
    with archives.open_archive(path) as archive:
        (entry,) = archive.infolist()
        monkeypatch.setattr(zipfile.ZipFile, "open", fail)
        with pytest.raises(raised):
            archives.read_entry(archive, entry, limit_bytes=1000)
