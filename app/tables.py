"""Every table of the application, imported so that the metadata is whole (migrations, tests)."""

from app.accounts import models as accounts
from app.agents import models as agents
from app.audits import models as audits
from app.bulk import models as bulk
from app.comparisons import models as comparisons
from app.criteria import models as criteria
from app.database import Model
from app.datasets import models as datasets
from app.examples import models as examples
from app.filters import models as filters
from app.images import models as images
from app.jobs import models as jobs
from app.label_imports import models as label_imports
from app.labels import models as labels
from app.notes import models as notes
from app.participants import models as participants
from app.projects import models as projects
from app.proposals import models as proposals
from app.queue import models as queue
from app.readings import models as readings
from app.runs import models as runs
from app.studies import models as studies
from app.trust import models as trust
from app.versions import models as versions
from app.webhooks import models as webhooks

__all__ = [
    "Model",
    "accounts",
    "agents",
    "audits",
    "bulk",
    "comparisons",
    "criteria",
    "datasets",
    "examples",
    "filters",
    "images",
    "jobs",
    "label_imports",
    "labels",
    "notes",
    "participants",
    "projects",
    "proposals",
    "queue",
    "readings",
    "runs",
    "studies",
    "trust",
    "versions",
    "webhooks",
]
