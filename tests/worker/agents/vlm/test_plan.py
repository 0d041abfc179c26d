"""What the plan costs is what the document says, and prompts do not change without a new version."""

from importlib.resources import files
from pathlib import Path

from taxonomy.shipped import painting_criteria
from tests.worker.agents.vlm.test_steps import CRITERIA
from worker.agents.vlm import VERSION, asking, plan

DOCUMENT = Path(__file__).parents[4] / "docs" / "agents.md"


def test_the_document_holds_the_cost_of_the_shipped_tree() -> None:
    told = DOCUMENT.read_text("utf-8")
    shown = told.partition("<!-- the plan's cost -->\n")[2].partition("<!-- end -->")[0]
    assert shown == plan.table(painting_criteria()), "python -m worker.agents.vlm.plan prints it"


def test_the_three_steps_read_least_of_the_plans_that_leave_out_what_does_not_apply() -> None:
    for share in plan.SHARES:
        costs = plan.plans(painting_criteria(), share)
        stepwise = {name: each.tokens for name, each in costs.items() if "at once" not in name}
        assert min(stepwise, key=lambda name: stepwise[name]) == "three steps"


def test_a_cost_is_that_of_the_questions_which_are_asked() -> None:
    question = asking.quantify(CRITERIA.active_pairs())
    cost = plan.plans(CRITERIA, 1.0)["all pairs at once"]
    assert (cost.questions, cost.picture) == (1, plan.PICTURE_TOKENS)
    assert abs(4 * cost.words - len(question.text) - len(asking.prompt("system"))) <= 4


def test_prompts_change_only_with_a_new_version() -> None:
    """For those who change one: raise VERSION and add a line."""
    lines = (files("worker.agents.vlm") / "prompts" / "versions").read_text("utf-8").splitlines()
    known = dict(line.split() for line in lines)
    assert len(known) == len(lines)
    assert known[VERSION] == asking.prompt_hash()
