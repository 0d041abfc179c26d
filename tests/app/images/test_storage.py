"""Which store the settings mean."""

from pathlib import Path

import pytest
from obstore.store import LocalStore, S3Store

from app.errors import Invalid, NotFound
from app.images import storage
from app.images.storage import open_store


def test_a_folder_is_the_default(tmp_path: Path) -> None:
    assert isinstance(open_store(None, {}, tmp_path / "images"), LocalStore)
    assert (tmp_path / "images").is_dir()


def test_a_file_address_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "my images"
    open_store(folder.as_uri(), {}, tmp_path)
    assert folder.is_dir()


def test_an_s3_address_with_its_options(tmp_path: Path) -> None:
    options = {"endpoint": "http://localhost:9000", "region": "eu", "allow_http": "true"}
    store = open_store("s3://bucket/pre/fix", options, tmp_path)
    assert isinstance(store, S3Store)
    assert store.config["bucket"] == "bucket" and store.prefix == "pre/fix"


@pytest.mark.parametrize("url", ["ftp://x/y", "bucket", "https://x.org/"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid, match="MORELLI_STORAGE_URL"):
        open_store(url, {}, tmp_path)


def test_an_option_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="regoin"):
        open_store("s3://bucket", {"regoin": "eu"}, tmp_path)


def test_puts_gets_and_replaces() -> None:
    key = storage.key_of("original", "ab" * 32)
    assert storage.size(key) is None and not storage.exists(key)
    with pytest.raises(NotFound):
        storage.get(key)
    for data in (b"one", b"other"):
        storage.put(key, data)
        assert storage.get(key) == data and storage.size(key) == len(data)
