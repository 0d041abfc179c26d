import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taxonomy import report as reports
from taxonomy.formats import read_criteria
from taxonomy.formats.json import sha256, write_json
from taxonomy.formats.yaml import write_yaml
from taxonomy.tree import Criteria
from tests.taxonomy.strategies import criteria_trees
from tests.taxonomy.trees import small_tree


def report(text: str) -> dict[str, Any]:
    return reports.report(lambda: read_criteria(text))


def test_tells_size_faults_and_hash() -> None:
    text = write_yaml(small_tree()).replace("name: Blurred edges", "name: Clear edges")
    found = report(text)
    (problem,) = found.pop("problems")
    assert (problem["code"], problem["severity"]) == ("duplicate-name", "error")
    assert problem["key"] == "clear-edges"
    assert "rename one" in problem["message"]
    assert len(found.pop("sha256")) == 64
    assert found == {
        "name": "Painting",
        "root_dimensions": 2,
        "levels": 3,
        "attribute_pairs": 5,
        "dimensions": 3,
        "by_root": {"composition": 3, "edges": 2},
    }


def test_tells_what_is_no_criteria_tree() -> None:
    found = report("format: morelli-criteria/1\nname: A\ndimensions: [1, 2]\n")
    assert [problem["code"] for problem in found["problems"]] == ["invalid", "invalid"]
    assert "dimensions[1] (line 3)" in found["problems"][1]["message"]
    assert (found["name"], found["attribute_pairs"], found["sha256"]) == (None, 0, None)
    assert found.keys() == report(write_yaml(small_tree())).keys()


def test_reads_json_as_well() -> None:
    assert report(write_json(small_tree())) == report(write_yaml(small_tree()))


@given(st.text() | st.text(st.characters()) | criteria_trees().map(write_yaml))
def test_never_raises_and_can_be_written_as_json(text: str) -> None:
    assert json.loads(json.dumps(report(text))) == report(text)


@given(criteria_trees())
def test_the_hash_is_that_of_the_tree(criteria: Criteria) -> None:
    assert report(write_yaml(criteria))["sha256"] == sha256(criteria)
