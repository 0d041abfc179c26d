"""The picture of the structure in docs/architecture.md is the one that the imports draw."""

from graphlib import CycleError

import pytest

from tests.architecture import picture


def test_the_picture_is_true() -> None:
    page = picture.PAGE.read_text(encoding="utf-8")
    shown = page.partition(picture.BEGIN)[2].partition(picture.END)[0]
    assert shown == picture.draw(), f"draw it anew: python -m {picture.__name__}"


def test_arrows_that_follow_from_others_are_left_out() -> None:
    rooms = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set[str](), "d": {"c"}}
    assert picture.without_shortcuts(rooms) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": {"c"}}


def test_pages_may_show_any_room_and_tables_stand_on_the_ground() -> None:
    modules = {
        "app.labels.pages": {"app.runs.reading", "app.labels.saving"},
        "app.labels.saving": {"app.runs.models", "app.images.finding"},
        "app.images.finding": set[str](),
    }
    assert picture.arrows(modules) == {"app.labels": {"app.images"}, "app.images": set()}


def test_what_knows_app_is_none_of_the_trainer() -> None:
    modules = {
        "worker.training.run": {"method.files"},
        "worker.agents.running": {"app.images.storage", "worker.agents.measured"},
        "worker.tasks": {"worker.agents.running"},
        "worker.agents.measured": set[str](),
        "app.images.storage": set[str](),
        "method.files": set[str](),
    }
    assert picture.arrows(modules) == {
        "worker.training": {"method"},
        "worker.jobs": {"app.images", "worker.agents"},
        "worker.agents": set(),
        "app.images": set(),
        "method": set(),
    }


def test_a_circle_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    circle = {
        "app.labels.saving": {"app.images.finding"},
        "app.images.finding": {"app.labels.saving"},
    }
    monkeypatch.setattr(picture, "imports", lambda: iter(circle.items()))
    with pytest.raises(CycleError):
        picture.draw()
