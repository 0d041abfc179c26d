"""Makes things for tests: one method per thing, every argument optional, committed at once."""

import hashlib
import itertools
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import Criteria, CriteriaVersion, Node
from app.images.models import Image
from app.images.searching import search_words
from app.jobs.models import Job
from app.projects.models import Membership, Project


class Make:
    """The builder behind the fixture `make`."""

    def __init__(self, db: Session) -> None:
        self.db = db
        self.count = itertools.count(1)

    def _keep(self, thing: Any) -> Any:
        self.db.add(thing)
        self.db.commit()
        return thing

    def person(self, name: str = "Ada", **values: Any) -> Person:
        """Someone with an account and no project."""
        email = f"{name.lower()}-{next(self.count)}@example.org"
        person: Person = self._keep(Person(**({"name": name, "email": email} | values)))
        return person

    def project(self, slug: str = "", **values: Any) -> Project:
        """A project with empty criteria."""
        slug = slug or f"project-{next(self.count)}"
        project: Project = self._keep(Project(**({"slug": slug, "name": slug.title()} | values)))
        self._keep(Criteria(project_id=project.id, name=project.name))
        return project

    def member(self, project: Project, role: str, name: str = "", **values: Any) -> Person:
        """A person with a role in the project."""
        person = self.person(name or role.title(), **values)
        self._keep(Membership(project_id=project.id, person_id=person.id, role=role))
        return person

    def dimension(
        self, project: Project, name: str = "", parent: Node | None = None, **values: Any
    ) -> Node:
        """A dimension of the working criteria."""
        number = next(self.count)
        node: Node = self._keep(
            Node(
                project_id=project.id,
                kind="dimension",
                parent_id=parent.id if parent else None,
                **(
                    {
                        "key": f"dimension-{number}",
                        "position": number,
                        "name": name or f"Dimension {number}",
                        "definition": "What it is about.",
                        "exclusive": False,
                    }
                    | values
                ),
            )
        )
        return node

    def pair(self, project: Project, parent: Node, **values: Any) -> Node:
        """An attribute pair of the working criteria."""
        number = next(self.count)
        node: Node = self._keep(
            Node(
                project_id=project.id,
                kind="pair",
                parent_id=parent.id,
                **(
                    {
                        "key": f"pair-{number}",
                        "position": number,
                        "relation": "opposed",
                        "positive_name": f"Good thing {number}",
                        "positive_definition": "How one sees the good thing.",
                        "negative_name": f"Bad thing {number}",
                        "negative_definition": "How one sees the bad thing.",
                    }
                    | values
                ),
            )
        )
        return node

    def version(self, project: Project, **values: Any) -> CriteriaVersion:
        """A published version, by default of the working criteria as they are."""
        from app.criteria.freezing import freeze_version

        if values:
            content = values.pop("content", "{}")
            made: CriteriaVersion = self._keep(
                CriteriaVersion(
                    project_id=project.id,
                    content=content,
                    sha256=hashlib.sha256(content.encode()).hexdigest(),
                    **({"number": 1, "working_revision": 0} | values),
                )
            )
            return made
        version = freeze_version(self.db, project, note="for a test", by=None)
        self.db.commit()
        return version

    def image(self, project: Project, **values: Any) -> Image:
        """A row of an image; its bytes are not in the storage."""
        number = next(self.count)
        sha256 = hashlib.sha256(f"image {number}".encode()).hexdigest()
        made: dict[str, Any] = {
            "sha256": sha256,
            "name": f"image-{number}.png",
            "format": "PNG",
            "width": 640,
            "height": 480,
            "bytes": 1000,
            "prompt": f"A painting number {number}",
            "details": {},
        } | values
        words = search_words(made["name"], made["prompt"], made["details"])
        image: Image = self._keep(Image(project_id=project.id, search=words, **made))
        return image

    def agent_run(self, project: Project, version: CriteriaVersion, **values: Any) -> AgentRun:
        """An agent run without a job."""
        made: AgentRun = self._keep(
            AgentRun(
                project_id=project.id,
                version_id=version.id,
                **({"agent": "measured", "agent_version": "1"} | values),
            )
        )
        return made

    def job(self, project: Project | None, **values: Any) -> Job:
        """A waiting job."""
        job: Job = self._keep(
            Job(
                project_id=project.id if project else None,
                **({"kind": "test", "spec": {}} | values),
            )
        )
        return job
