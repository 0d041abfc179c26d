"""Names of browsers for the list of sessions."""

import pytest

from app.accounts.browsers import name_browser

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (CHROME, "Chrome on Linux"),
        (CHROME + " Edg/156.0.0.0", "Edge on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; rv:150.0) Gecko/20100101 Firefox/150.0",
            "Firefox on Windows",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPad",
        ),
        ("curl/8.1", "curl"),
        ("Something else entirely", "Something else entirely"),
        ("", "unknown"),
    ],
)
def test_browsers_have_names(header: str, name: str) -> None:
    assert name_browser(header) == name
