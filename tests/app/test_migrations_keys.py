"""People of older installations keep all keys as they are for everyone."""

from sqlalchemy import Engine, text

from tests.app.migrating import go


def test_people_of_before_have_the_usual_keys(old: Engine) -> None:
    go(old, "0037")
    with old.begin() as connection:
        connection.execute(
            text("INSERT INTO person (email, name) VALUES ('ada@example.org', 'Ada')")
        )
    go(old, "head")
    with old.begin() as connection:
        assert connection.scalar(text("SELECT keys FROM person")) == {}
    go(old, "0037", down=True)
    go(old, "head")
