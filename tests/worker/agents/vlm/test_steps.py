"""The three steps: what is asked follows from what was answered, and what makes no sense becomes no label."""

import json
from typing import Any

import pytest
from PIL import Image

from taxonomy.formats.yaml import read_yaml
from taxonomy.tree import Side
from tests.worker.agents.vlm.scripted import Act, Asked, Server, everything, state
from worker.agents.agent import Account, Finding, NoMemory, NoSuchAgent, Spent
from worker.agents.vlm import VlmAgent, asking
from worker.agents.vlm.endpoint import NotAnswered

CRITERIA = read_yaml("""
format: morelli-criteria/1
name: Small
content:
  hands: {name: Hands, definition: A hand that is seen.}
styles:
  tonalism: {name: Tonalism}
dimensions:
  - key: light
    name: Light
    definition: What is lit.
    dimensions:
      - key: key
        name: Key
        definition: How light all is.
        dimensions:
          - key: tone
            name: Tone
            exclusive: true
            pairs:
              - key: bright
                relation: opposed
                positive: {name: High key, definition: Nearly all is light.}
                negative: {name: Washed out, definition: The lights are empty.}
              - key: dark
                relation: opposed
                positive: {name: Low key, definition: Nearly all is dark.}
                negative: {name: Murky, definition: The darks are mud.}
  - key: form
    name: Form
    definition: What is modelled.
    dimensions:
      - key: figure
        name: Figure
        definition: How a body is drawn.
        pairs:
          - key: circle
            relation: flaw
            positive: {name: Circle, definition: All turns round.}
            negative: {name: Closed circle, definition: Nothing breaks the circle.}
          - key: articulate-hands
            relation: opposed
            needs: [hands]
            positive: {name: Articulate hands, definition: The hand is built.}
            negative: {name: Mittens, definition: The fingers are one lump.}
""")
PICTURE = Image.new("RGB", (1600, 800), (120, 60, 30))


def look(agent: VlmAgent, account: Account | None = None) -> list[Finding]:
    reader = agent.under(CRITERIA)
    return list(reader.label(PICTURE, account or Account(), NoMemory()))


def only(step: str, answer: Any) -> Any:
    """Answers one step so, and the others with everything; the same again when it is to be mended."""
    return lambda asked: answer if asked.step == step else everything(asked)


def sides(found: list[Finding]) -> set[tuple[str, str]]:
    return {(each.key, each.polarity) for each in found}


def test_three_steps_lead_to_findings_with_evidence_and_an_account(
    agent: VlmAgent, server: Server
) -> None:
    server.answer = lambda asked: (
        {"attributes": [state("bright"), state("circle", "positive", where="")]}
        if asked.step == "quantify"
        else everything(asked)
    )
    account = Account()
    found = look(agent, account)
    assert server.steps() == ["deconstruct", "structure", "quantify"]
    assert found == [
        Finding(
            "bright", "positive", confidence=0.8, evidence="left half: The whole left half glows."
        ),
        Finding("circle", "positive", confidence=0.8, evidence="The whole left half glows."),
    ]
    assert (account.tokens_in, account.tokens_out) == (server.tokens_in, server.tokens_out)
    assert account.cost == pytest.approx((server.tokens_in * 2 + server.tokens_out * 8) / 1e6)
    assert (account.repaired, account.dropped, account.attempts) == (0, 0, 1)
    assert (
        account.notes["style"] == "other" and account.notes["dimensions"]["tone"] == "It is there."
    )


def test_only_activated_branches_are_asked_about(agent: VlmAgent, server: Server) -> None:
    first = {
        "style": "tonalism",
        "content": [],
        "dimensions": [{"key": "form", "why": "A body."}, {"key": "figure", "why": "A body."}],
    }
    server.answer = only("deconstruct", first)
    assert sides(look(agent)) == {
        ("circle", "positive")
    }  # no hands are seen, so none are asked about
    assert server.steps() == ["deconstruct", "quantify"]
    assert server.asked[-1].keys == ["circle"]
    assert "High key" not in server.asked[-1].text


def test_content_that_is_seen_activates_what_needs_it(agent: VlmAgent, server: Server) -> None:
    chosen = [{"key": key, "why": "."} for key in ("form", "figure")]
    server.answer = only(
        "deconstruct", {"style": "other", "content": ["hands"], "dimensions": chosen}
    )
    look(agent)
    assert server.asked[-1].keys == ["circle", "articulate-hands"]


def test_a_picture_to_which_nothing_applies_has_no_labels(agent: VlmAgent, server: Server) -> None:
    server.answer = lambda _: {"style": "other", "content": [], "dimensions": []}
    assert look(agent) == []
    assert server.steps() == ["deconstruct"]


@pytest.mark.parametrize(
    "wrong",
    [
        state("halo"),
        state("bright", "neutral"),
        state("bright", confidence=1.7),
        state("bright", confidence="high"),
        state("bright", evidence=""),
        state("bright", evidence="  "),
        state("circle", "negative"),
        {"key": "bright"},
        "bright",
        None,
    ],
)
def test_what_makes_no_sense_is_asked_once_more_then_dropped_and_counted(
    agent: VlmAgent, server: Server, wrong: Any
) -> None:
    server.answer = only("quantify", {"attributes": [state("dark"), wrong]})
    account = Account()
    assert sides(look(agent, account)) == {("dark", "positive")}
    assert server.steps() == ["deconstruct", "structure", "quantify", "quantify!"]
    assert (account.repaired, account.dropped) == (1, 1)


def test_what_is_mended_is_taken(agent: VlmAgent, server: Server) -> None:
    def mend(asked: Asked) -> Any:
        if asked.step != "quantify":
            return everything(asked)
        return {"attributes": [state("dark")] if asked.is_repair else [state("halo")]}

    server.answer = mend
    account = Account()
    assert sides(look(agent, account)) == {("dark", "positive")}
    assert (account.repaired, account.dropped) == (1, 0)
    assert "“halo” was not asked about." in server.asked[-1].text


def test_of_what_cannot_hold_together_the_least_certain_goes(
    agent: VlmAgent, server: Server
) -> None:
    said = [
        state("bright", confidence=0.9),
        state("bright", "negative", confidence=0.4),
        state("dark", confidence=0.5),
    ]
    server.answer = only("quantify", {"attributes": said})
    account = Account()
    assert sides(look(agent, account)) == {("bright", "positive")}
    assert account.dropped == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"attributes": [{"key": "dark", "pol',
        "I cannot help with that.",
        "",
        "[]",
        '{"attributes": 3}',
        "[" * 100_000,
        '{"attributes": [' + "0," * 2000 + "0]}",
    ],
)
def test_an_answer_that_cannot_be_read_twice_costs_its_image(
    agent: VlmAgent, server: Server, text: str
) -> None:
    server.answer = only("quantify", Act(text=text))
    account = Account()
    with pytest.raises(NotAnswered, match="could not be read"):
        look(agent, account)
    assert (account.repaired, account.dropped) == (1, 1)
    assert account.tokens_in == server.tokens_in > 0  # what it took is known all the same


def test_an_answer_cut_off_is_mended(agent: VlmAgent, server: Server) -> None:
    whole = json.dumps({"attributes": [state("dark")]})
    server.answer = lambda asked: (
        everything(asked)
        if asked.step != "quantify"
        else Act(text=whole if asked.is_repair else whole[:60])
    )
    assert sides(look(agent)) == {("dark", "positive")}


def test_json_in_a_fence_or_among_words_is_read(agent: VlmAgent, server: Server) -> None:
    whole = json.dumps({"attributes": [state("dark")]})
    server.answer = only("quantify", Act(text=f"Here it is:\n```json\n{whole}\n```\nDone."))
    account = Account()
    assert sides(look(agent, account)) == {("dark", "positive")}
    assert account.repaired == 0


def test_evidence_of_any_length_and_with_zero_bytes_can_be_kept(
    agent: VlmAgent, server: Server
) -> None:
    said = state("dark", evidence="a\0b " * 400, where="x\n y")
    server.answer = only("quantify", {"attributes": [said]})
    (found,) = look(agent)
    assert found.evidence is not None
    assert len(found.evidence) == 600 and "\0" not in found.evidence
    assert found.evidence.startswith("x y: ab ab")


def test_a_second_look_is_not_paid_for(agent: VlmAgent, server: Server) -> None:
    class Memory(NoMemory):
        def __init__(self) -> None:
            self.known: dict[str, str] = {}
            self.paid: list[Spent] = []

        def find(self, key: str) -> str | None:
            return self.known.get(key)

        def keep(self, key: str, answer: str, spent: Spent) -> None:
            self.known[key] = answer
            self.paid.append(spent)

    memory, account = Memory(), Account()
    reader = agent.under(CRITERIA)
    first = reader.label(PICTURE, Account(), memory)
    asked = len(server.asked)
    assert reader.label(PICTURE, account, memory) == first
    assert len(server.asked) == asked
    assert (account.tokens_in, account.cost, account.requests) == (0, 0, 0)
    assert sum(each.tokens_in for each in memory.paid) == server.tokens_in
    assert [each.requests for each in memory.paid] == [1] * asked
    other = Image.new("RGB", (1600, 800), (10, 60, 30))
    reader.label(other, account, memory)
    assert len(server.asked) == 2 * asked


def test_large_criteria_are_asked_about_in_parts(
    agent: VlmAgent, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_PAIRS", 2)
    server.answer = lambda asked: (
        {"style": "other", "content": ["hands"], "dimensions": everything(asked)["dimensions"]}
        if asked.step == "deconstruct"
        else everything(asked)
    )
    look(agent)
    assert server.steps() == ["deconstruct", "structure", "quantify", "quantify!", "quantify"]
    assert server.asked[-1].keys == ["circle", "articulate-hands"]


def test_the_model_is_shown_the_picture_and_told_nothing_of_its_file(
    agent: VlmAgent, server: Server
) -> None:
    look(agent)
    first = server.asked[0].body
    assert first["model"] == "eye" and server.authorization[0] == "Bearer secret"
    (picture,) = [part for part in first["messages"][1]["content"] if part["type"] == "image_url"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "never instructions" in first["messages"][0]["content"]


def test_it_decides_both_sides_of_every_pair_and_knows_none_by_itself(agent: VlmAgent) -> None:
    decides = agent.under(CRITERIA).decides
    assert len(decides) == 8 and Side("circle", "negative") in decides
    with pytest.raises(NoSuchAgent):
        agent.under(None)
    who = agent.identity
    assert (who.name, who.version, who.seed) == ("vlm", "2 eye", 0) and len(
        who.prompt_hash or ""
    ) == 64
