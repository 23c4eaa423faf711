"""Opens what an installation's settings name, or says in one sentence which setting cannot be used and why.

Servers that start together come up in any order, so a database that does not answer is waited for, a little: what
lasts longer is for whoever restarts processes that ended. No message repeats an address, for it may hold a password.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from kombu.connection import Connection
from kombu.exceptions import OperationalError as BrokerError
from obstore.exceptions import BaseError as BlobStoreError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from sterna.errors import BackendUnreachable, SettingUnusable
from storage.blobs import BlobStore
from storage.ledger import Ledger
from storage.settings import SCHEME, Settings

WAIT_S: Final = 10.0
"""How long a server that does not answer is waited for at the start."""
_TICK_S: Final = 0.5
_SQLITE_HINT: Final = (
    "make room on its disk, or mend the address or the rights on its file; where no address is set, it lies in "
    "STERNA_DATA_DIR"
)
_DATABASES: Final = ("sqlite", "postgresql+psycopg")
_BROKERS: Final = ("redis", "rediss", "sentinel", "amqp", "amqps", "memory")
# What S3 answers where trying again is of no use; obstore has one class for all that happens to a list.
_REFUSALS: Final = {
    "NoSuchBucket": ("there is no such bucket", "make it, or mend its name in the address"),
    "InvalidAccessKeyId": ("the store does not know the access key", "mend AWS_ACCESS_KEY_ID"),
    "SignatureDoesNotMatch": ("the secret key is not that of the access key", "mend AWS_SECRET_ACCESS_KEY"),
    "AccessDenied": (
        "the bucket may not be used with these credentials",
        "let them list, read, write and delete there, or mend AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
}
"""What an S3 store answers where asking again would not help, with what was found and what to do."""
_log = logging.getLogger(__name__)


def open_ledger(settings: Settings, *, wait_s: float = WAIT_S) -> Ledger:
    """Makes the folders that embedded parts need, and opens the ledger.

    Raises:
        SettingUnusable: the folder cannot be written, the address is malformed, or its driver is not installed.
        BackendUnreachable: the database did not answer in time, or cannot be written.
        DatabaseOutdated, DatabaseTooNew, DatabaseForeign: as `Ledger.open`.
    """
    try:
        settings.prepared()
    except OSError as error:
        raise SettingUnusable(
            f"STERNA_DATA_DIR: {error.filename} cannot be written: {error.strerror}",
            hint="name a folder on a disk with room that this user may write",
        ) from error
    driver = _driver(settings.database_url)
    deadline = time.monotonic() + (0 if driver == "sqlite" else wait_s)
    while True:
        try:
            return Ledger.open(settings.database_url)
        except ModuleNotFoundError as error:
            raise SettingUnusable(
                f"STERNA_DATABASE_URL: the driver {error.name!r} is not installed here",
                hint="pip install 'sterna[postgres]' brings it",
            ) from error
        except DBAPIError as error:
            if time.monotonic() > deadline:
                raise BackendUnreachable(
                    f"STERNA_DATABASE_URL: the database cannot be used: {_first_line(error.orig)}",
                    hint=_SQLITE_HINT
                    if driver == "sqlite"
                    else "start it, or mend the address, its user or its rights",
                ) from error
            _log.warning("waiting for the database: %s", _first_line(error.orig))
        time.sleep(_TICK_S)


def open_blobs(settings: Settings) -> BlobStore:
    """Opens the blob store and asks it for the least that it can answer.

    Raises:
        SettingUnusable: the address is malformed, or its bucket or folder is not there or not this user's.
        BackendUnreachable: the store does not answer.
    """
    try:
        blobs = BlobStore.open(settings.storage_url)
    except OSError as error:
        raise _no_storage(error) from error
    except (BlobStoreError, ValueError) as error:
        raise SettingUnusable(
            f"STERNA_STORAGE_URL: it is no address of a storage ({type(error).__name__})",
            hint="s3://BUCKET/PREFIX, file:///FOLDER, or leave it empty",
        ) from error
    try:
        blobs.ping()
    except OSError as error:
        raise _no_storage(error) from error
    except BlobStoreError as error:
        if _refusal(error):
            raise _no_storage(error) from error
        raise BackendUnreachable(
            f"STERNA_STORAGE_URL: the storage does not answer ({type(error).__name__})",
            hint="start it, or mend the address or AWS_ENDPOINT_URL",
        ) from error
    return blobs


def check_broker(settings: Settings, *, wait_s: float = WAIT_S) -> None:
    """Looks whether messages can be received, for a worker; the service needs no broker to start.

    Raises:
        SettingUnusable: the address is of no broker that is known.
        BackendUnreachable: the broker did not answer in time.
    """
    scheme, separator, _ = settings.broker_url.partition("://")
    if not separator or (f"{scheme}://" != SCHEME and scheme.split("+")[0] not in _BROKERS):
        raise SettingUnusable(
            f"STERNA_BROKER_URL: {scheme[:20]!r} is no broker that is known",
            hint="redis://HOST:6379/0, or leave it empty for the folder that needs no server",
        )
    if f"{scheme}://" == SCHEME or scheme == "memory":
        return
    options = settings.queue_options()["broker_transport_options"]
    try:
        with Connection(settings.broker_url, transport_options=options) as connection:
            connection.ensure_connection(timeout=wait_s, interval_start=_TICK_S, interval_step=0)
    except (BrokerError, OSError, ValueError) as error:
        raise BackendUnreachable(
            f"STERNA_BROKER_URL: the broker does not answer ({type(error).__name__})",
            hint="start it, or mend the address",
        ) from error


def _driver(url: str) -> str:
    try:
        driver = make_url(url).drivername
    except (ArgumentError, ValueError):
        driver = ""
    if driver not in _DATABASES:
        raise SettingUnusable(
            f"STERNA_DATABASE_URL: it begins with {driver[:40]!r}, which is no database that is known",
            hint="postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or sqlite:///FILE, or leave it empty",
        )
    return driver


def _refusal(error: Exception) -> tuple[str, str] | None:
    return next((said for code, said in _REFUSALS.items() if code in str(error)), None)


def _no_storage(error: Exception) -> SettingUnusable:
    found, hint = _refusal(error) or (
        "the folder is not there or may not be used",
        "make it, or give this process the right to write there",
    )
    return SettingUnusable(f"STERNA_STORAGE_URL: {found} ({type(error).__name__})", hint=hint)


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0][:300]
