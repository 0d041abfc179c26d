"""Links that set a new password: who may make one, and that one press uses it up."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import OneTimeLink, Person, SignIn
from app.accounts.passwords import hash_password, is_password
from app.accounts.signing_in import check_password, sign_in, tidy_email, token_hash
from app.database import unit_of_work
from app.errors import Invalid, NotAllowed, NotFound
from app.projects.founding import set_role
from app.projects.recovering import create_account_link, find_person, take_account_link
from tests.factories import Make
from tests.people import Cast, cast

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PEOPLE, API = "/projects/paintings/people", "/api/v1/projects/paintings/people"
NEW = "a lamp in the attic"


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    people = cast(make)
    people.ben.password_hash = hash_password("seven brushes in a jar")
    db.commit()
    return people


def test_a_lead_lets_a_member_in_again(
    browser: TestClient,
    db: Session,
    people: Cast,
    sign_in: SignInAt,
    open_client: Callable[..., TestClient],
) -> None:
    page = sign_in(browser, people.lea).post(f"{PEOPLE}/{people.ben.id}/password-link")
    assert page.status_code == 200
    link = page.text.split('id="password-link">')[1].split("<")[0]
    token = link.rsplit("/", 1)[1]
    assert token not in browser.get(PEOPLE).text
    assert db.scalars(select(OneTimeLink.token_hash)).all() == [token_hash(token)]
    old = sign_in(open_client(**{"Sec-Fetch-Site": "same-origin"}), people.ben)
    ben = open_client(**{"Sec-Fetch-Site": "same-origin"})
    for _ in range(3):
        assert people.ben.email in ben.get(f"/new-password/{token}").text
    short = ben.post(f"/new-password/{token}", data={"password": "short"})
    assert short.status_code == 422
    assert "Use 10 to 256 characters" in short.text
    done = ben.post(f"/new-password/{token}", data={"password": NEW})
    assert done.status_code == 303
    assert people.ben.email in ben.get("/account").text
    assert old.get("/account").status_code == 303
    for client in (ben, old):
        assert client.get(f"/new-password/{token}").status_code == 404
        again = client.post(f"/new-password/{token}", data={"password": "another lamp there"})
        assert again.status_code == 404
    db.rollback()
    db.expire_all()
    assert is_password(people.ben.password_hash, NEW)


def test_by_program_and_who_may_not(
    api: TestClient, people: Cast, make: Make, token_for: TokenFor, db: Session
) -> None:
    made = api.post(f"{API}/{people.ben.id}/password-link", headers=token_for(people.lea))
    assert made.status_code == 201
    assert made.json()["person_id"] == people.ben.id
    assert "/new-password/" in made.json()["link"]
    for person, status in ((people.ada, 403), (people.ben, 403), (people.dora, 404)):
        url = f"{API}/{people.ben.id}/password-link"
        assert api.post(url, headers=token_for(person)).status_code == status
    stranger = make.person("Nia")
    url = f"{API}/{stranger.id}/password-link"
    assert api.post(url, headers=token_for(people.lea)).status_code == 404


def test_no_link_opens_an_account_that_may_do_more(db: Session, make: Make, people: Cast) -> None:
    other = make.project("other")
    set_role(db, other, people.ben, "annotator")
    with pytest.raises(NotAllowed, match="a project that you do not lead"):
        create_account_link(db, people.ben, by=people.lea)
    set_role(db, other, people.lea, "expert")
    with pytest.raises(NotAllowed):
        create_account_link(db, people.ben, by=people.lea)
    set_role(db, other, people.lea, "lead")
    create_account_link(db, people.ben, by=people.lea)
    people.ada.is_operator = True
    db.flush()
    with pytest.raises(NotAllowed, match="operator's"):
        create_account_link(db, people.ada, by=people.lea)
    create_account_link(db, people.lea, by=people.ada)
    create_account_link(db, people.ada, by=None)


def test_a_link_dies_with_the_right_to_it(db: Session, make: Make, people: Cast) -> None:
    _, token = create_account_link(db, people.ben, by=people.lea)
    people.ben.is_operator = True
    db.flush()
    with pytest.raises(NotFound, match="used, revoked, or is too old"):
        take_account_link(db, token, NEW)
    people.ben.is_operator = False
    set_role(db, make.project("other"), people.ben, "lead")
    with pytest.raises(NotFound):
        take_account_link(db, token, NEW)


def test_old_and_replaced_links_open_nothing(db: Session, people: Cast) -> None:
    _, first = create_account_link(db, people.ben, by=people.lea)
    _, second = create_account_link(db, people.ben, by=people.lea)
    with pytest.raises(NotFound):
        take_account_link(db, first, NEW)
    db.execute(update(OneTimeLink).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(NotFound):
        take_account_link(db, second, NEW)


def test_two_presses_at_once_use_a_link_once(db: Session, people: Cast) -> None:
    _, token = create_account_link(db, people.ben, by=None)
    db.commit()
    results: list[str] = []
    both = threading.Barrier(2)

    def press(password: str) -> None:
        both.wait()
        try:
            with unit_of_work() as own:
                take_account_link(own, token, password)
            results.append("in")
        except NotFound:
            results.append("out")

    threads = [threading.Thread(target=press, args=(f"{NEW} {each}",)) for each in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == ["in", "out"]


def test_the_sign_in_page_says_what_to_do(browser: TestClient) -> None:
    assert "Forgot your password?" in browser.get("/sign-in").text


# One form of passwords and addresses --------------------------------------------------------------

WHOLE, APART = "caf\u00e9 cr\u00e8me \u00fcber", "cafe\u0301 cre\u0300me u\u0308ber"


@pytest.mark.parametrize(
    ("set_as", "typed"),
    [(WHOLE, APART), (APART, WHOLE), ("ｐａｓｓ ｗｏｒｄ ２３", "pass word 23")],
)
def test_a_password_is_the_same_on_any_keyboard(
    db: Session, people: Cast, set_as: str, typed: str
) -> None:
    people.ben.password_hash = hash_password(set_as)
    db.commit()
    for each in (set_as, typed):
        assert check_password(db, people.ben.email, each, address="::1") is people.ben
    with pytest.raises(Invalid):
        check_password(db, people.ben.email, typed.upper(), address="::1")


@pytest.mark.parametrize("made_of", [WHOLE, APART])
@pytest.mark.parametrize("typed", [WHOLE, APART])
def test_hashes_of_an_earlier_release_open_and_are_renewed(
    db: Session, people: Cast, made_of: str, typed: str
) -> None:
    from app.accounts.passwords import HASHER

    people.ben.password_hash = old = HASHER.hash(made_of)
    db.commit()
    assert check_password(db, people.ben.email, typed, address="::1") is people.ben
    assert (people.ben.password_hash != old) == (made_of == APART)
    assert HASHER.verify(people.ben.password_hash, WHOLE)


@pytest.mark.parametrize(
    "typed",
    [
        "BEN.\u00dcBER@Example.org",
        " ben.u\u0308ber@example.org\t",
        "\ufeffben.\u00fcber@example.org\u200b",
        "\u202aben.\u00fcber@example.org\u202c",
        "ben.\u00ad\u00fcber@\u200bexample.\u200borg",
    ],
)
def test_an_address_is_the_same_however_it_is_typed(db: Session, people: Cast, typed: str) -> None:
    people.ben.email = "ben.\u00fcber@example.org"
    db.commit()
    assert find_person(db, typed) is people.ben
    assert check_password(db, typed, "seven brushes in a jar", address="::1") is people.ben


def test_an_address_is_the_same_with_the_capital_of_a_turkish_telephone(
    db: Session, people: Cast
) -> None:
    people.ben.email = tidy_email("ibrahim@example.org")
    db.commit()
    assert find_person(db, "\u0130brahim@example.org") is people.ben
    people.ben.email = "i\u0307brahim@example.org"  # as an earlier release stored that capital
    db.commit()
    assert find_person(db, "\u0130brahim@example.org") is people.ben


def test_a_new_password_ends_every_session(db: Session, people: Cast) -> None:
    sign_in(db, people.ben, browser="", address="::1")
    _, token = create_account_link(db, people.ben, by=people.lea)
    take_account_link(db, token, NEW)
    db.flush()
    assert db.scalars(select(SignIn.id).where(SignIn.ended_at.is_(None))).all() == []
