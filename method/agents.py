"""The domain-expert agents that there are, without what they need to look at a picture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AgentFacts:
    """An agent as people choose it. Its code is the module of this name in `worker.agents`."""

    description: str
    nature: str
    """What it looks with, in the words of a report."""
    needs: str = ""
    """The setting without which it is not there."""
    looks: bool = True
    """Whether it looks at pictures itself, and is no ensemble of what others said."""


AGENTS = {
    "measured": AgentFacts(
        description="Decides by image statistics, offline; keeps measure, value and threshold.",
        nature="image statistics, no eye",
    ),
    "vlm": AgentFacts(
        description="A model that sees, at an address that the operator sets; keeps what it saw and where.",
        nature="a model that sees",
        needs="vision_url",
    ),
    "ensemble": AgentFacts(
        description="Several agent runs as one: proposes what they agree on, and decides the rest by how far each is to be trusted.",
        nature="what other agents said",
        looks=False,
    ),
}
"""By name, in the order in which people choose. Tables, forms and commands read this list and no other."""

MEASURED_VERSION = "5"
"""Of the measured agent. Goes up whenever a measure, a rule or a threshold changes, so that labels can be traced to what
made them, and drawings of what it saw are made anew."""
DEFAULT_AGENT = "measured"
ENSEMBLE = "ensemble"
JUDGE = "measured"
"""Who judges generated images: in evaluation, in ranking pairs, while sampling."""
