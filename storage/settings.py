"""How an installation is set up: environment variables named `STERNA_…`, embedded defaults under one folder.

Three addresses choose the size of the deployment and nothing else differs between the two:

    STERNA_BROKER_URL     filesystem://                          redis://host:6379/0
    STERNA_DATABASE_URL   sqlite:///DATA_DIR/sterna.db           postgresql+psycopg://…
    STERNA_STORAGE_URL    file://DATA_DIR/blobs                  s3://bucket/prefix
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from sqlalchemy import URL

from sterna.errors import SettingUnusable
from storage.webhooks import WAITS_S

MIB = 2**20
SCHEME: Final = "filesystem://"
TRANSPORT: Final = "storage.broker:Transport"
"""How Celery is told of the transport of that scheme, which it loads when it first speaks to the broker."""
_Settings = TypeVar("_Settings", bound=BaseSettings)


def read_settings(kind: type[_Settings], **given: Any) -> _Settings:  # noqa: ANN401  whatever its fields are
    """Settings from the environment.

    Args:
        kind: of which part.
        given: fields that are not asked of the environment.

    Raises:
        SettingUnusable: one of them is not what it may be; its value, which may be a secret, is not repeated.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name, reason = str(first["loc"][0]), first["msg"]
    except SettingsError as error:
        # A tuple that is no JSON; the library tells the field in its words alone.
        found = re.search(r'field "(\w+)"', str(error))
        name, reason = found[1] if found else "…", 'Input should be a JSON array, such as ["a", "b"] or [1, 2]'
    prefix = kind.model_config.get("env_prefix", "")
    raise SettingUnusable(f"{prefix}{name.upper()}: {reason}", hint="mend it, or leave it out for its default")


class Settings(BaseSettings):
    """Settings of the service and of the workers; both must be given the same addresses.

    An address that is left empty becomes the embedded one under `data_dir`, which is made absolute.
    """

    model_config = SettingsConfigDict(env_prefix="STERNA_", extra="ignore", frozen=True)

    data_dir: Path = Path("data")
    broker_url: str = ""
    database_url: str = ""
    storage_url: str = ""
    queue_name: str = "sterna"

    lease_s: float = Field(default=30, gt=0, description="A worker that is silent for longer has lost its job.")
    beat_s: float = Field(default=10, gt=0, description="How often a worker says that it lives.")
    worker_alive_s: float = Field(default=60, gt=0, description="A worker that beat within this time is alive.")
    max_attempts: int = Field(default=3, ge=1, description="Attempts that may lose their worker before a job fails.")
    resend_after_s: float = Field(default=30, gt=0, description="A queued job is announced again after this time.")
    checkpoint_s: float = Field(
        default=60,
        ge=0,
        description="A running job keeps its state so often, for another worker to go on from; 0: never.",
    )
    checkpoint_bytes: int = Field(default=8192 * MIB, ge=1, description="No checkpoint is kept that would be larger.")
    checkpoint_grace_s: float = Field(
        default=10, ge=0, description="How long a worker that shuts down waits for a last checkpoint of its jobs."
    )
    sweep_after_s: float = Field(
        default=7 * 86_400, gt=0, description="What was left behind is removed after this time; an upload is given it."
    )

    keep_jobs_s: float | None = Field(
        default=None, gt=0, description="Jobs that ended longer ago are deleted with their files; unset: never."
    )
    blob_grace_s: float = Field(
        default=3600, ge=0, description="Content that nothing refers to stays so long: somebody may be about to."
    )
    idempotency_s: float = Field(default=86_400, gt=0, description="How long an Idempotency-Key is remembered.")

    part_bytes: int = Field(default=16 * MIB, ge=1)
    max_upload_bytes: int = Field(default=16_384 * MIB, ge=1)
    max_multipart_bytes: int = Field(default=256 * MIB, ge=1)
    max_json_bytes: int = Field(default=MIB, ge=1)
    tenant_bytes: int | None = Field(default=None, ge=1, description="Bytes that one tenant may store; unset: any.")
    tenant_queued: int | None = Field(default=None, ge=1, description="Jobs of one tenant that may wait; unset: any.")
    tenant_running: int | None = Field(default=None, ge=1, description="Jobs of one tenant that may run; unset: any.")
    requests_per_minute: int = Field(
        default=6000, ge=1, description="Requests of one tenant; callers that need no key are not counted."
    )

    webhook_allowed_networks: tuple[str, ...] = Field(
        default=(), description="Networks that webhooks may lead into although they are not public, such as 10.0.0.0/8."
    )
    webhook_waits_s: tuple[float, ...] = Field(default=WAITS_S, description="How long after each failed try.")
    keep_deliveries_s: float = Field(default=7 * 86_400, gt=0, description="How long it is known what was delivered.")

    allowed_hosts: tuple[str, ...] = Field(default=(), description="Names of the service besides this machine's own.")
    max_wait_s: float = Field(default=60, ge=0, description="The longest that `Prefer: wait` holds a request.")

    @model_validator(mode="after")
    def _fill_in_embedded(self) -> Self:
        folder = self.data_dir.expanduser().resolve()
        embedded = {
            "broker_url": "filesystem://",
            # A folder's name may hold what means something else in an address: `#`, `?`, `%`.
            "database_url": URL.create("sqlite", database=str(folder / "sterna.db")).render_as_string(),
            "storage_url": (folder / "blobs").as_uri(),
        }
        object.__setattr__(self, "data_dir", folder)
        for name, url in embedded.items():
            if not getattr(self, name):
                object.__setattr__(self, name, url)
        return self

    @property
    def broker_folder(self) -> Path:
        """Where messages lie when the broker is the file system."""
        return self.data_dir / "queue"

    @property
    def scratch_folder(self) -> Path:
        """For files that live no longer than the request or the job that made them."""
        return self.data_dir / "scratch"

    def prepared(self) -> Self:
        """Makes the folders that embedded parts need; may be called again.

        Returns:
            These settings.
        """
        for folder in (self.scratch_folder, self.broker_folder / "messages", self.broker_folder / "control"):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    def queue_options(self) -> dict[str, object]:
        """Celery's configuration as far as senders and workers must agree on it."""
        return {
            "broker_url": self.broker_url,
            "broker_transport": TRANSPORT if self.broker_url.startswith(SCHEME) else None,
            "broker_transport_options": self._transport_options(),
            "broker_connection_retry_on_startup": True,
            "task_default_queue": self.queue_name,
            "task_ignore_result": True,
            "task_serializer": "json",
            "accept_content": ["json"],
        }

    def _transport_options(self) -> dict[str, object]:
        if self.broker_url.startswith(SCHEME):
            # One folder both ways: the sender's "out" is the worker's "in".
            messages = str(self.broker_folder / "messages")
            return {
                "data_folder_in": messages,
                "data_folder_out": messages,
                "control_folder": str(self.broker_folder / "control"),
                "polling_interval": 0.2,
            }
        if self.broker_url.startswith("redis"):
            # A half-open connection must be noticed: without these a worker can look alive and hear nothing.
            return {
                "socket_connect_timeout": 5,
                "socket_timeout": 30,
                "socket_keepalive": True,
                "health_check_interval": 10,
            }
        return {}
