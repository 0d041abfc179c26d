"""How an audit was done and what it found, in sentences for the methods section of a paper."""

from app.audits.models import Audit
from app.audits.results import AuditFacts, Results
from app.intervals import in_percent
from app.participants.models import ConsentNotice

INTERVALS = (
    "Intervals are 95 %. Their variance adds up what images and what participants contribute and takes off what both"
    " share (two-way clustering; Cameron, Gelbach and Miller 2011), with Student's t on the degrees of freedom after"
    " Satterthwaite, on the scale of log odds; so they speak about other images and other participants. For the"
    " majority and for agreement they are over images."
)


def caption(found: Results) -> str:
    """The caption of the table, as Table S5 has it."""
    overall = found.overall.score
    number = len(found.dimensions)
    if overall.accuracy is None:
        return f"Verification of annotation accuracy across {number} dimensions."
    return (
        f"Verification of annotation accuracy across {number} dimensions. The results are compared against human"
        f" judgment, with an overall accuracy of {overall.accuracy_words}%."
    )


def describe(
    audit: Audit, facts: AuditFacts, found: Results, notice: ConsentNotice, *, practice: int
) -> list[str]:
    """Paragraphs: the sample, the participants, the task, the figures, what they say."""
    return [
        _sample(audit, facts),
        _participants(facts, notice),
        _task(audit, facts, practice),
        _figures(facts),
        *_findings(found),
    ]


def _sample(audit: Audit, facts: AuditFacts) -> str:
    source = (
        f"agent run {audit.agent_run_id} ({facts.agent} {facts.agent_version})"
        if audit.agent_run_id
        else "all agent runs"
    )
    return (
        f"On {audit.created_at:%-d %B %Y}, {_number(facts.images, 'image')}{_of_how_many(audit)} with {audit.min_labels} or more labels of"
        f" {source} {'was' if facts.images == 1 else 'were'} drawn at random (seed {audit.seed}"
        f"{_stratified(audit)}), and all {facts.items:,} labels that the agent had stated about them were frozen, whatever"
        f" people had decided about them. Names and definitions are those of criteria version {facts.version_number}"
        f" (SHA-256 {facts.version_sha256[:12]})."
    )


def _of_how_many(audit: Audit) -> str:
    if audit.population is None:
        return ""
    return f" of {'about ' if audit.population_is_about else ''}{audit.population:,}"


def _stratified(audit: Audit) -> str:
    by = {"root": "root dimension", "polarity": "polarity", "run": "agent run"}.get(audit.strata)
    return f"; as many for each {by} where there were enough" if by else ""


def _participants(facts: AuditFacts, notice: ConsentNotice) -> str:
    people = facts.people
    left = []
    if people.withdrawn:
        left.append(f"{people.withdrawn} withdrew, and their answers were deleted")
    if people.revoked:
        left.append(f"{people.revoked} were left out")
    if people.judging:
        left.append(f"{people.judging} had not finished")
    rest = f" Of all invited, {'; '.join(left)}." if left else ""
    return (
        f"{_number(people.finished, 'participant').capitalize()} finished. Each had read and agreed to the notice"
        f" (number {notice.number}), had no account and no name in the system, and is known by a random code only.{rest}"
    )


def _task(audit: Audit, facts: AuditFacts, practice: int) -> str:
    shared = (
        f" Each image was given to {_number(audit.judges, 'participant')}, each participant being asked about"
        f" {_number(audit.images_each, 'image')}."
        if audit.judges and audit.images_each
        else ""
    )
    checks = (
        f" {_number(facts.checks, 'attention check')} said"
        f" {'itself' if facts.checks == 1 else 'themselves'} what to answer."
        if facts.checks
        else ""
    )
    probes = (
        f" At {audit.probe_percent} % of the images they were also asked which attributes they see that were not asked"
        " for."
        if audit.probe_percent
        else ""
    )
    decoys = (
        f" Among the questions were {facts.decoys:,} decoys ({100 * facts.decoys / facts.questions:.0f} %): attributes"
        " that the agent had not given, drawn as often as it gave them elsewhere, which nothing told from labels."
        if facts.decoys
        else " There were no decoys."
    )
    practised = f" They practised on {_number(practice, 'image')} first." if practice else ""
    return (
        "Participants saw the images one after another in a random order of their own, and said for each attribute"
        " whether it appears, does not appear, or that they cannot tell, from its name and definition. Its sign, the"
        f" agent's confidence and all other answers were hidden.{shared}{decoys}{checks}{probes}{practised}"
    )


def _figures(facts: AuditFacts) -> str:
    corrected = (
        " Corrected for readiness to say yes, it is (accuracy − d) / (1 − d), where d is the share of decoys said to"
        " appear."
        if facts.decoys
        else ""
    )
    return (
        "Accuracy is actual occurrences / occurrences in annotations: of the answers that decide, the share that say the"
        f" attribute appears, pooled over participants; “cannot tell” is counted apart.{corrected} {INTERVALS}"
    )


def _findings(found: Results) -> list[str]:
    overall = found.overall.score
    if overall.accuracy is None:
        return ["No answer has been given yet."]
    said = (
        f"The overall accuracy is {overall.accuracy_words} % (95 % interval {overall.interval_words} %) over"
        f" {overall.decided:,} decisions about {overall.items:,} labels of {overall.images:,} images by"
        f" {_number(overall.participants, 'participant')}"
    )
    if overall.corrected is not None:
        said += (
            f", and {overall.corrected_words} % ({overall.corrected_interval_words} %) corrected for the"
            f" {overall.yes_to_decoys_words} % of decoys that were said to appear"
        )
    said += (
        f". The majority of participants confirmed {overall.majority_words} % of"
        f" {overall.majority_items:,} labels ({overall.ties:,} tied)."
    )
    agreed = []
    for name, each in (
        ("Gwet's AC1", overall.ac1),
        ("Krippendorff's α", overall.alpha),
        ("Fleiss' κ", overall.kappa),
    ):
        if each.value is not None:
            ends = f" ({each.interval[0]:.2f} – {each.interval[1]:.2f})" if each.interval else ""
            agreed.append(f"{name} {each.value:.2f}{ends}")
    if agreed:
        said += (
            f" Of all pairs of answers about one label {in_percent(overall.agreement, overall.decided)} % were the same:"
            f" {', '.join(agreed)}."
        )
    by_dimension = ", ".join(
        f"{row.name} ({row.score.accuracy_words} %)"
        for row in found.dimensions
        if row.score.accuracy is not None
    )
    return [said, f"By dimension: {by_dimension}."]


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
