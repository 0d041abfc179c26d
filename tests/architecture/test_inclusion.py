"""Whoever asks the database for images or labels says what is to become of those that were set aside or
erased: by `app.images.inclusion`, or by standing in the list below with a reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.test_house_rules import ROOT

ASKS = {"in_use", "is_there", "left_out", "erased"}
TABLES = {"Image", "Label", "LabelEvent"}
STATEMENTS = {"select", "join", "outerjoin", "exists", "select_from"}
# One image or one label that is known by its id, and its own history.
BY_ID = {
    "app/labels/recording.py:_OPERATION": "one action by its id",
    "app/labels/recording.py:_LABEL": "one label",
    "app/labels/recording.py:_recording": "the action that it writes",
    "app/labels/recording.py:load_marks": "the history of one image",
    "app/labels/stating.py:_load_statements": "the history of one image",
    "app/labels/stating.py:_lock": "of the images that the agent looked at",
    "app/images/finding.py:count_labels": "of images that the caller chose",
    "app/labels/undoing.py:_get_undoable": "the history of one image",
    "app/labels/unfolding.py:happenings": "asked by image, for its history",
    "app/labels/reading.py:_STATED": "the labels of one image",
    "app/audits/judging.py:get_image_to_judge": "samples stay as they were drawn",
}
# Those that have to see all.
ALL = {
    "app/audits/doubting.py:ask_refuted_again": "ask_again leaves out what is not in use",
    "app/audits/doubting.py:ask_attribute_again": "ask_again leaves out what is not in use",
    "app/audits/sampling.py:_questions": "labels of the images that were drawn",
    "app/audits/practising.py:_find_decided": "looked up by images that _find_images found in use",
    "app/versions/moving.py:_count_by_version": "labels of images set aside move with their names",
    "app/versions/moving.py:_follow": "labels of images set aside move with their names",
    "app/versions/succession.py:_has_labels": "labels of images set aside are carried over as well",
    "app/images/finding.py:find_images": "by filtered",
    "app/images/narrowing.py:_first_labels": "tells where to begin alone",
    "app/images/narrowing.py:_labels": "find_images joins them to those of filtered",
    "app/versions/labelled_images.py:find_labelled_images": "of the images that find_images found",
    "app/images/finding.py:count_images": "by filtered",
    "app/images/asked.py:find_ids": "by filtered",
    "app/notes/mentioning.py:find_mentions": "what was written to somebody stays; erasing takes it",
    "app/notes/reading.py:find_discussions": "what was written stays; erasing takes it",
    "app/images/pictures.py:_read": "else setting one aside would move others to another split",
    "app/images/changes.py:find_image_changes": "history names all",
    "app/audits/verdicts.py:iterate_verdicts": "verdicts stay; an erased image has no name left",
    "app/agents/recording.py:find_problems": "what a run said stays",
    "app/agents/recording.py:find_looked_at": "what a run said stays",
    "app/agents/looking_back.py:look_back": "what a run said stays",
    "app/agents/looking_back.py:_stated": "of the image that a run looked at",
    "app/agents/recording.py:find_waiting_images": "by images_of",
    "app/agents/recording.py:count_waiting_images": "by images_of",
    "app/labels/contradicting.py:find_next_images": "kept of every image, as by the triggers",
    "app/labels/carrying.py:_COLUMNS": "the names of columns",
    "app/agents/importing.py:record_taken_over": "of the images that were locked in use",
    "app/labels/exporting.py:_rows": "looked up by the images that the caller chose",
    "app/datasets/selecting.py:_find_labels": "looked up by the images that the caller chose",
    "app/datasets/selecting.py:_find_traits": "of the images that the caller chose",
    "worker/datasets/building.py:_find_details": "of the images that the caller chose",
    "app/readings/asking.py:_draw": "by filtered",
    "app/readings/asking.py:_put_questions": "of the images that were drawn",
    "app/images/finding.py:has_unsure": "narrows images that the caller chose",
    "app/queue/handing_out.py:_unsure_of_others": "narrows images that the caller chose",
    "app/queue/ordering.py:_sums": "of images that wait, which are in use",
    "app/queue/assigning.py:assign": "by filtered",
    "app/queue/handing_out.py:claim_next_within": "by filtered",
    "app/labels/undoing.py:_own_actions": "of one image, or of those that the caller chose",
    "app/labels/proposing.py:_refuse_foreign": "propose leaves out what was set aside",
    "app/criteria/undoing.py:_refuse_used": "a node that labels name is in use, wherever they are",
}


def functions() -> Iterator[tuple[str, ast.stmt]]:
    """Functions, and statements that a module puts together once, by file and name."""
    for room in ("app", "worker"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef):
                    yield f"{path.relative_to(ROOT)}:{node.name}", node
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    yield f"{path.relative_to(ROOT)}:{node.targets[0].id}", node


def names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def asks_for_images(function: ast.stmt) -> bool:
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in STATEMENTS and any(names(each) & TABLES for each in node.args):
            return True
    return False


def test_every_question_for_images_says_which() -> None:
    own = Path("app/images/inclusion.py").as_posix()
    asking = {
        place: function for place, function in functions() if asks_for_images(function)
    }  # fmt: skip
    silent = [
        place
        for place, function in asking.items()
        if not names(function) & ASKS
        and place not in BY_ID
        and place not in ALL
        and not place.startswith(own)
    ]
    assert silent == [], "use in_use() or left_out(), or say here why not"
    assert sorted((BY_ID.keys() | ALL.keys()) - asking.keys()) == [], "not there any more"
