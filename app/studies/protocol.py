"""How a study was done and what it found, in sentences for the methods section of a paper."""

from app.participants.models import ConsentNotice
from app.studies.exporting import p_words
from app.studies.models import Study
from app.studies.results import Comparison, Results, StudyFacts

FIGURES = (
    "A preference is the share of answers for a model, “no difference” counting as half for each. Intervals are 95 %: their"
    " variance adds up what pairs and what participants contribute and takes off what both share (two-way clustering;"
    " Cameron, Gelbach and Miller 2011), with Student's t on the degrees of freedom after Satterthwaite, on the scale of log odds;"
    " so they speak about other pairs and other participants. For the test over pairs the answers about each pair are added up, and the"
    " pairs that lean to one model or the other are compared by an exact two-sided binomial test; for the test over"
    " participants the signs of whole participants are flipped. Both are corrected for the dimensions of a comparison"
    " (Holm 1979)."
)
RANKING = (
    " Groups of three models or more are ranked by the Bradley-Terry model, ties being half a win for each, with intervals"
    " over other prompts and other participants."
)


def caption(found: Results) -> str:
    """The caption of the table, as Figure S8 has it."""
    said = "The result of the user study: how often each model was preferred"
    return f"{said}, over {found.answers:,} answers." if found.answers else f"{said}."


def describe(study: Study, facts: StudyFacts, found: Results, notice: ConsentNotice) -> list[str]:
    """Paragraphs: the images, the participants, the task, the figures, what they say."""
    figures = FIGURES + (RANKING if found.rankings else "")
    return [
        _images(study, facts),
        _participants(study, facts, notice),
        _task(study, facts),
        figures,
        *_findings(found),
    ]


def _images(study: Study, facts: StudyFacts) -> str:
    groups: dict[str, list[str]] = {}
    for each in facts.models:
        groups.setdefault(each.group, []).append(each.name)
    listed = "; ".join(f"{group}: {', '.join(names)}" for group, names in groups.items())
    opened = f"On {study.opened_at:%-d %B %Y}, " if study.opened_at else ""
    return (
        f"{opened}{_number(study.prompts, 'prompt')} were drawn at random (seed {study.seed}) from those for which every model"
        f" had made an image. Within each group, every two models were compared on every prompt ({listed}), which"
        f" makes {_number(facts.pairs, 'pair')}."
    )


def _participants(study: Study, facts: StudyFacts, notice: ConsentNotice) -> str:
    people = facts.people
    left = []
    if people.withdrawn:
        left.append(f"{people.withdrawn} withdrew, and their answers were deleted")
    if people.revoked:
        left.append(f"{people.revoked} were left out")
    if people.judging:
        left.append(f"{people.judging} had not finished")
    rest = f" Of all invited, {'; '.join(left)}." if left else ""
    return _sharing(study) + (
        f"{_number(people.finished, 'participant').capitalize()} finished. Each had read and agreed to the notice"
        f" (number {notice.number}), had no account and no name in the system, and is known by a random code only.{rest}"
    )


def _sharing(study: Study) -> str:
    if study.judges is None or study.prompts_each is None:
        return ""
    return (
        f"Each pair was given to {_number(study.judges, 'participant')}, each participant being asked about"
        f" {_number(study.prompts_each, 'prompt')}: those that the fewest others had. "
    )


def _task(study: Study, facts: StudyFacts) -> str:
    names = ", ".join(each.name for each in facts.criteria.dimensions)
    tie = (
        ", or that there is no difference"
        if study.has_ties
        else "; one of the two had to be chosen"
    )
    checks = []
    if facts.identical:
        checks.append(f"{_number(facts.identical, 'pair')} showed the same image twice")
    if facts.repeated:
        checks.append(
            f"{_number(facts.repeated, 'pair')} came a second time with the sides changed"
        )
    checked = f" As checks, {' and '.join(checks)}; they count in no preference." if checks else ""
    balanced = (
        ", and each pair was shown one way round to half of the participants"
        if study.prompts_each is None
        else ""
    )
    return (
        f"Participants saw the two images of a pair side by side, with the prompt and without the models' names, and chose the better"
        f" one in each of {_number(len(facts.criteria.dimensions), 'root dimension')} ({names}; criteria version"
        f" {facts.criteria.number}, SHA-256 {facts.criteria.sha256[:12]}){tie}. Each participant had a random order of"
        " pairs of their own. Of every two models each stood on the left in half of a participant's"
        f" pairs{balanced}.{checked}"
    )


def _findings(found: Results) -> list[str]:
    if not found.answers:
        return ["No answer has been given yet."]
    said = [_finding(each) for each in found.comparisons if each.overall.preference.answers]
    if found.sides.share is not None:
        said.append(
            f"Of the answers that decided, {found.sides.share_words} % were for the image on the left."
        )
    return said


def _finding(of: Comparison) -> str:
    overall = of.overall.preference
    by_dimension = ", ".join(
        f"{row.name} ({row.preference.share_words} %, p {p_words(row.preference.holm_pairs)})"
        for row in of.dimensions
        if row.preference.share is not None
    )
    interval = f" (95 % interval {overall.interval_words} %)" if overall.interval else ""
    ties = f"; {overall.ties_words} % saw no difference" if overall.ties else ""
    return (
        f"{of.group}: {overall.share_words} % of the preference{interval} is given to {of.model} over"
        f" {of.other}, over {overall.answers:,} answers of {_number(overall.people, 'participant')} about"
        f" {_number(overall.pairs, 'pair')}{ties}. More answers preferred {of.model} in"
        f" {_number(overall.pairs_won, 'pair')} and {of.other} in {overall.pairs_lost:,}"
        f" (p {p_words(overall.p_pairs)}). By dimension: {by_dimension}."
    )


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
