"""Every setting, read once from the environment, typed. A wrong value stops the start with its name."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


class Settings(BaseSettings):
    """Settings of one installation; each is the environment variable `MORELLI_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="MORELLI_", extra="ignore")

    home: Annotated[Path, AfterValidator(_absolute)] = Path(".morelli")
    """Folder of all state: databases, images, datasets, runs, secrets."""
    host: str = "127.0.0.1"
    """Address the web server listens on."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port the web server listens on."""
    address: str | None = None
    """Public address, such as `https://morelli.example.org`; used in links and in the origin check."""
    database_url: SecretStr | None = None
    """PostgreSQL to use instead of the embedded one: `postgresql+psycopg://...`."""
    redis_url: SecretStr | None = None
    """Redis to use instead of the embedded one: `redis://...`, `rediss://...` or `unix://...`."""
    storage_url: str | None = None
    """Where image bytes are kept: `s3://bucket/prefix` or `file:///folder`; default `<home>/images`."""
    storage_options: dict[str, str] = {}
    """Options of the object store, such as region or endpoint (JSON)."""
    import_folders: list[Path] = []
    """Folders of this machine that leads may import from in the browser (JSON list)."""
    model_folders: list[Path] = []
    """Folders of the worker's machine with base models that leads may train, beside `<home>/models`
    (JSON list)."""
    hub_models: list[str] = []
    """Hub ids of base models that leads may train although this machine's hub cache lacks them, because
    the worker has them elsewhere (JSON list)."""
    mlflow: dict[str, str] = {}
    """MLflow servers or folders that runs may report to: tracking URIs by a name (JSON object)."""
    accelerate_configs: dict[str, Path] = {}
    """Config files of accelerate for several hosts, by a name (JSON object)."""
    allow_private_fetch: list[IPvAnyNetwork] = []
    """Networks that are not public and that imports by URL and webhooks may still lead to (JSON list of CIDR)."""
    max_upload_mb: int = Field(default=2048, ge=1)
    """Largest accepted upload, in MiB."""
    max_image_megapixels: int = Field(default=120, ge=1)
    """Largest accepted image, in millions of pixels."""
    max_image_mb: int = Field(default=100, ge=1)
    """Largest accepted image file, in MiB."""
    vision_url: str | None = None
    """OpenAI-compatible address of a model that sees, such as `http://127.0.0.1:8000/v1`; with it and
    the model there is the agent `vlm`."""
    vision_model: str | None = None
    """The model's name at that address."""
    vision_key: SecretStr | None = None
    """Key for that address, where it wants one."""
    vision_private: list[IPvAnyNetwork] = []
    """Networks that are not public and in which the model's server may stand, such as `127.0.0.0/8` (JSON list of
    CIDR)."""
    vision_at_once: int = Field(default=4, ge=1, le=256)
    """Images that the model is shown at the same time, by each agent run."""
    vision_per_minute: int | None = Field(default=None, ge=1)
    """Questions that all workers together ask the model in a minute."""
    vision_seconds: float = Field(default=120, gt=0)
    """How long the model may take for one answer."""
    vision_answer_tokens: int = Field(default=8192, ge=64)
    """Tokens that the model may write for one answer; together with the question they have to fit into its context."""
    vision_price_in: float = Field(default=0, ge=0)
    """Price of a million tokens that the model reads."""
    vision_price_out: float = Field(default=0, ge=0)
    """Price of a million tokens that the model writes."""
    web_processes: int = Field(default=1, ge=1, le=32)
    """Processes that `morelli up` serves pages with; a second one uses a second core and as much memory again."""
    requests_at_once: int = Field(default=6, ge=1, le=200)
    """Requests that a web process works on at the same time; the others wait, in order."""
    requests_waiting: int = Field(default=4000, ge=1)
    """Requests that may wait; who comes after them is told to try again (503)."""
    database_pool: int = Field(default=20, ge=1)
    """Connections a worker may hold; a web process holds a few more than it works on requests."""
    request_lock_seconds: float = Field(default=5, gt=0)
    """How long a request waits for a row that somebody else is changing."""
    request_statement_seconds: float = Field(default=30, gt=0)
    """How long one question of a request to the database may take."""
    job_lock_seconds: float = Field(default=60, gt=0)
    """The same for a worker's lock."""
    job_statement_seconds: float = Field(default=3600, gt=0)
    """The same for a worker's question."""

    @property
    def public_address(self) -> str:
        """The address people open, without a trailing slash."""
        return (self.address or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def datasets_folder(self) -> Path:
        return self.home / "datasets"

    @property
    def pairs_folder(self) -> Path:
        return self.home / "pairs"

    @property
    def runs_folder(self) -> Path:
        return self.home / "runs"

    @property
    def models_folder(self) -> Path:
        """Folder of base models that the launch form offers."""
        return self.home / "models"

    @property
    def training_cache_folder(self) -> Path:
        """Folder of latents, text embeddings and teacher predictions, which all runs share."""
        return self.home / "cache" / "training"

    @property
    def uploads_folder(self) -> Path:
        """Folder of uploads that wait for their import job."""
        return self.home / "uploads"


@lru_cache
def settings() -> Settings:
    return Settings()
