"""Loads a pair dataset through its project, and serves only pictures that its manifest lists."""

from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from app.datasets import pair_reading, pairing
from app.datasets.models import PairDataset
from app.images import storage
from app.images.access import PICTURE_HEADERS
from app.projects.access import AnnotatorProject
from app.web.dependencies import Db


def pair_dataset_of_project(project: AnnotatorProject, pair_dataset_id: int, db: Db) -> PairDataset:
    """Policy: members of the project; the pair dataset in the path."""
    return pairing.get_pair_dataset(db, project, pair_dataset_id)


ProjectPairs = Annotated[PairDataset, Depends(pair_dataset_of_project)]


def picture(pairs: PairDataset, kind: pair_reading.Kind, file: str, known: str | None) -> Response:
    """The `thumb` or `display` of a picture of a pair, or 304 where the browser has it."""
    path = pair_reading.find_picture(pairs, file)
    headers = PICTURE_HEADERS | {"ETag": f'"{kind}-{path.stem[:32]}"'}
    if known is not None and headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    data = pair_reading.read_shown(path, kind)
    return Response(data, media_type=storage.TYPES[kind], headers=headers)
