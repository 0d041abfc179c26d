"""Static files: kept for a year by what they are, with all that they bring along."""

import re

import pytest
from starlette.testclient import TestClient

from app.web.static import STATIC, imports_of, static_url

FOR_A_YEAR = "public, max-age=31536000, immutable"


def test_a_page_names_all_its_files_by_their_hash(api: TestClient) -> None:
    page = api.get("/sign-in").text
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert any(each.endswith("/pages/keys.js") for each in named)
    assert len({each.split("/")[2] for each in named}) == 1
    for address in named:
        answer = api.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == FOR_A_YEAR, address


def test_what_a_file_names_beside_itself_is_kept_as_long(api: TestClient) -> None:
    style = static_url("morelli.css")
    font = re.search(r'url\("(vendor/[^"]+)"\)', api.get(style).text)
    assert font
    answer = api.get(f"{style.rsplit('/', 1)[0]}/{font[1]}")
    assert answer.headers["cache-control"] == FOR_A_YEAR


@pytest.mark.parametrize("version", ["v-0123456789/", ""])
def test_files_of_another_day_are_not_kept(api: TestClient, version: str) -> None:
    answer = api.get(f"/static/{version}pages/keys.js")
    assert answer.text == (STATIC / "pages" / "keys.js").read_text()
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "v-0123456789/../main.py", "%2e%2e/main.py"])
def test_what_is_not_there_is_not_found(api: TestClient, name: str) -> None:
    assert api.get(f"/static/{name}").status_code == 404
    with pytest.raises(FileNotFoundError, match="no static file"):
        static_url(name)


def test_a_script_brings_what_its_imports_import() -> None:
    assert "pages/unsaved.js" in imports_of("pages/requests.js")
    assert set(imports_of("pages/requests.js")) < set(imports_of("morelli.js"))
    assert not {each for script in STATIC.rglob("*.js") for each in imports_of(name_of(script))} - {
        name_of(script) for script in STATIC.rglob("*.js")
    }


def name_of(script: object) -> str:
    return str(script).removeprefix(f"{STATIC}/")
