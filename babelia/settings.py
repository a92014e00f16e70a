"""The one settings file. Everything comes from the environment; the defaults run on a laptop.

Readers refuse nonsense when the process starts (babelia.environment); settings that contradict each other are Django
checks (babelia.checks). The table of settings in docs/operating.md is held to this file by a test.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import secrets
import socket
from pathlib import Path
from typing import Any

import dj_database_url
import psutil
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import lazy

from babelia import environment as env
from babelia import redis_url
from worker.catalogue.address import is_slug
from worker.editions.edition import BATCH_MAX, DEVICES

BASE_DIR = Path(__file__).resolve().parent.parent

# -- where things lie


def _has_home(path: str) -> bool:
    """Whether the `~somebody` that a path begins with, if it does, is somebody."""
    return not os.path.expanduser(path).startswith("~")  # noqa: PTH111  (Path's own raises RuntimeError)


DATA_DIR = Path(
    env.text(
        "BABELIA_DATA",
        str(BASE_DIR / "data"),
        "the folder for everything that is kept",
        shown="data",
        form="the path of a folder, on one line",
        valid=_has_home,
    )
).expanduser()
if not DATA_DIR.is_absolute():
    DATA_DIR = BASE_DIR / DATA_DIR

DATABASE_URL = env.text(
    "DATABASE_URL",
    "",
    "the database that remembers pages; `postgres://…` for many machines",
    shown="a SQLite file in the data folder",
    secret=True,
)
REDIS_URL = env.text(
    "REDIS_URL",
    "",
    "the Redis or Valkey server that carries the queue; never one that evicts keys without expiry",
    shown="a server of our own on loopback",
    secret=True,
)
REDIS_IS_OURS = not REDIS_URL
"""Whether no server was named, so that `manage.py library` starts one."""
REDIS_URL_FILE = DATA_DIR / "valkey" / "url"
"""Where `manage.py library` leaves the URL of the server it started, for other commands on this machine."""
if not REDIS_URL:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        REDIS_URL = REDIS_URL_FILE.read_text(encoding="ascii").strip()
USUAL_REDIS = "redis://127.0.0.1:6379/0"
"""Where a Redis is looked for when no setting names one; a site without any still serves what is kept."""


def _redis() -> redis_url.RedisUrl:
    try:
        return redis_url.parse(REDIS_URL or USUAL_REDIS)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"The environment variable REDIS_URL should be {redis_url.FORM}: {error}."
            if not REDIS_IS_OURS
            else f"The file {REDIS_URL_FILE} is damaged: {error}. Delete it, and start the library again."
        ) from None


_REDIS = _redis()
if REDIS_URL:
    REDIS_URL = _REDIS.client

# -- the site

DEBUG = env.flag("BABELIA_DEBUG", False, "error pages with the source in them; never on a public site")
LISTEN = env.text(
    "BABELIA_LISTEN",
    "127.0.0.1",
    "the address the site listens on; `0.0.0.0` lets phones in your network in",
    form="an address of this machine: 127.0.0.1, ::1, or 0.0.0.0 or :: for all of them",
    valid=env.is_listening_address,
)
PORT = env.integer(
    "BABELIA_PORT", 8000, 1, 65535, "the site's port; where it is taken, `make run` moves on, a site alone refuses"
)
SITE_PROCESSES = env.integer(
    "BABELIA_SITE_PROCESSES", min(2, os.cpu_count() or 1), 1, 64, "processes of the site", shown="2"
)
HTTPS = env.flag(
    "BABELIA_HTTPS", False, "the site is reached over HTTPS (a proxy in front of it): redirect, HSTS, secure cookies"
)
PROXIES = env.names(
    "BABELIA_PROXIES",
    ["127.0.0.1"],
    "addresses of proxies whose X-Forwarded-For, -Proto, -Host, -Port and -Prefix are believed",
    form="addresses or networks with commas between them, as 127.0.0.1,10.0.0.0/8",
    valid=env.is_proxy,
)
PREFIX = env.path("BABELIA_PREFIX", "the path of its host below which the site lies, as `/library`", shown="none")


def _own_names() -> list[str]:
    """The names and addresses under which this machine is reached: on loopback, or in its networks too."""
    own = ["localhost", "127.0.0.1", "[::1]"]
    if LISTEN in ("127.0.0.1", "localhost", "::1"):
        return own
    machine = socket.gethostname().lower()
    own += [machine, f"{machine.partition('.')[0]}.local"]
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET:
                own.append(address.address)
            elif address.family == socket.AF_INET6:
                own.append(f"[{address.address.partition('%')[0]}]")
    return list(dict.fromkeys(own))


ALLOWED_HOSTS = env.names(
    "BABELIA_HOSTS",
    _own_names(),
    "host names the site answers to",
    shown="this machine's names and addresses",
    form="host names without port and path, with commas between them, as library.example.org",
    valid=env.is_host,
)


@functools.cache
def _kept_secret_key() -> str:
    """The SECRET_KEY that is made once and kept in the data folder, readable by its owner alone."""
    path = DATA_DIR / "secret-key"
    try:
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            beside = path.with_name(f".secret-key-{secrets.token_hex(8)}")
            beside.touch(0o600, exist_ok=False)
            if os.geteuid() == 0:  # a command of root's: the site that runs as the folder's owner has to read it
                owner = DATA_DIR.stat()
                os.chown(beside, owner.st_uid, owner.st_gid)
            beside.write_text(secrets.token_urlsafe(48), encoding="ascii")
            try:
                os.link(beside, path)  # unlike a rename, never takes the place of another process's key
            finally:
                beside.unlink()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {DATA_DIR} cannot be written ({error.strerror}). Set BABELIA_DATA to one that can."
        ) from error
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path} cannot be read ({error.strerror}). Give it to the user that the library runs as: chown it, or run"
            " what made it as that user."
        ) from error


SECRET_KEY = env.text(
    "SECRET_KEY",
    "",
    "what Django signs with, 50 characters or more",
    shown="made once, kept in the data folder",
    form="50 characters or more, five of them different",
    valid=lambda key: len(key) >= 50 and len(set(key)) >= 5,  # Django's own measure of a weak one
    secret=True,
)
if not SECRET_KEY:
    # Made when something is first signed, so that a command that refuses its input leaves nothing behind.
    SECRET_KEY = lazy(_kept_secret_key, str)()

PICTURE_WAIT = env.integer(
    "BABELIA_PICTURE_WAIT", 60, 1, 600, "seconds that `.png` of a page not printed yet waits for it before a 503"
)

VISITOR_LIMIT = env.integer(
    "BABELIA_VISITOR_LIMIT",
    120,
    0,
    1_000_000,
    "new pages that one visitor may ask for in a minute, and keys that one may bring to each process; 0: no limit",
)
VISITOR_WAITING = env.integer(
    "BABELIA_VISITOR_WAITING", 50, 0, 1_000_000, "pages of one visitor that may wait, in each edition; 0: no limit"
)

# -- the press

EDITIONS = env.names(
    "BABELIA_EDITIONS",
    [],
    "editions this machine's press prints",
    shown="all that are installed",
    form="names of editions with commas between them, as pocket-1,sd-1.5",
    valid=is_slug,
)
DEVICE = env.choice(
    "BABELIA_DEVICE", "auto", ("auto", *DEVICES), "what the press computes on; `auto`: CUDA, else the CPU"
)
THREADS = env.integer(
    "BABELIA_THREADS", 0, 1, 1024, "threads of the press on a CPU; part of the rendition", shown="one per core"
)
BATCH = env.integer(
    "BABELIA_BATCH",
    0,
    1,
    BATCH_MAX,
    "pages the press prints at once; part of the rendition",
    shown="what the edition says",
)
PRESS_NICENESS = env.integer(
    "BABELIA_PRESS_NICENESS",
    10,
    0,
    19,
    "how far the press stands back behind all else on its machine, so that kept pages go out at once; 0: not at all",
)
LEASE = env.integer(
    "BABELIA_LEASE",
    45,
    15,
    3600,
    "seconds without a sign of life after which a page is taken from a press on another machine",
)
PRINT_LIMIT = env.integer("BABELIA_PRINT_LIMIT", 1800, 10, 86400, "seconds after which a print is stopped for good")
QUEUE_LIMIT = env.integer("BABELIA_QUEUE_LIMIT", 500, 1, 1_000_000, "pages that may wait; more are told to come back")
SEARCH_LIMIT = env.integer(
    "BABELIA_SEARCH_LIMIT", 20, 1, 1000, "pictures of visitors that may wait to be searched for, 1 MB each in Redis"
)
PRINT_AHEAD = env.flag(
    "BABELIA_PRINT_AHEAD", True, "an idle press prints the page after the one that a visitor looks at"
)

# -- what is kept

DISK_BUDGET = env.size(
    "BABELIA_DISK_BUDGET", "0", "what pages may take; the least recently opened make room; 0: no limit"
)
DISK_RESERVE = env.size("BABELIA_DISK_RESERVE", "1 GB", "what stays free on the disk: below it nothing is printed")
HOT_PICTURES = env.integer("BABELIA_HOT_PICTURES", 200, 0, 100_000, "pictures that Redis holds ready, for an hour each")

# -- Django

KEEPER_PATH = "-/keeper/"
"""Below the site's root: the keeper's desk (gallery.keeper.desk), the one place with accounts, sessions and cookies."""

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "ninja",
    "gallery.apps.GalleryConfig",
    "babelia.apps.BabeliaConfig",
]
MIDDLEWARE = [
    "babelia.middleware.Security",
    "babelia.middleware.Policy",
    "babelia.middleware.Common",
    "babelia.middleware.Reading",
    "babelia.middleware.Sessions",
    "babelia.middleware.Csrf",
    "babelia.middleware.Accounts",
    "babelia.middleware.Messages",
    "babelia.middleware.Frames",
    "babelia.middleware.Methods",
]
SILENCED_SYSTEM_CHECKS = [
    # W001–W003 look for Django's own names in MIDDLEWARE; ours are these classes, without a thread for each request
    # (babelia.middleware). That their headers are sent is tested.
    "security.W001",
    "security.W002",
    "security.W003",
    # HSTS for all subdomains and the preload list are promises about names that are not ours to make.
    "security.W005",
    "security.W021",
]
ROOT_URLCONF = "babelia.urls"
ASGI_APPLICATION = "babelia.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False
APPEND_SLASH = False  # gallery knows the one spelling of an address and redirects to it itself

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,  # those of the keeper's desk
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "babelia.static.StampedStorage"},
}


_SQLITE, _POSTGRESQL = "django.db.backends.sqlite3", "django.db.backends.postgresql"


def _database() -> dict[str, Any]:
    database: dict[str, Any] = {"ENGINE": _SQLITE, "NAME": str(DATA_DIR / "library.sqlite3")}
    if DATABASE_URL:
        database = _read_database_url()
    database["CONN_MAX_AGE"] = 0  # Django's advice under ASGI
    if database["ENGINE"] == _POSTGRESQL:
        try:
            importlib.import_module("psycopg")
        except ImportError as error:
            raise ImproperlyConfigured(
                "DATABASE_URL names PostgreSQL, and its driver psycopg is missing here. "
                "Install it: python -m pip install -r requirements.txt."
            ) from error
    else:
        database["OPTIONS"] = {
            # IMMEDIATE: a deferred transaction that reads and then writes fails at once, whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    return database


def _read_database_url() -> dict[str, Any]:
    """What DATABASE_URL says, of the two kinds that the library runs on; a relative file is one of the checkout."""
    form = "postgres://user:password@host/name or sqlite:////folder/file, with what is special percent-encoded"
    try:
        found: dict[str, Any] = dict(dj_database_url.parse(DATABASE_URL))
    except (ValueError, KeyError):  # its UnknownSchemeError is a ValueError
        raise env.refused("DATABASE_URL", form, None) from None
    name = str(found.get("NAME", ""))
    if found["ENGINE"] not in (_SQLITE, _POSTGRESQL) or name in ("", ":memory:") or not name.isprintable():
        raise env.refused("DATABASE_URL", form, None)
    if "#" in DATABASE_URL or (found["ENGINE"] == _SQLITE and ("?" in DATABASE_URL or found.get("HOST"))):
        raise env.refused("DATABASE_URL", form, None)
    if found["ENGINE"] == _SQLITE:
        found["NAME"] = str(BASE_DIR / name)
    return found


DATABASES = {"default": _database()}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "gallery.views.refusals.no_form"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
# Cookies of the keeper alone (babelia.middleware).
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 12 * 3600
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0

# Bodies are counted while they arrive by babelia.asgi; these are Django's own limits behind that one.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024  # beyond it a body waits on the disk: 60 pictures at once took 1.9 GB
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

LOG_LEVEL = env.choice(
    "BABELIA_LOG_LEVEL",
    "INFO",
    ("DEBUG", "INFO", "WARNING", "ERROR"),
    "how much is logged, on standard error",
)
LOG_PROMPTS = env.flag("BABELIA_LOG_PROMPTS", False, "name in the log what visitors wrote, not only its digest")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}
        | ({} if LOG_PROMPTS else {"()": "babelia.logs.Discreet"})
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {name: {"level": LOG_LEVEL} for name in ("babelia", "gallery", "worker")}
    | {
        "django.request": {"level": "ERROR"},  # a 404 is no news, and prompts do not belong into a log
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # said once for each name (gallery.views.refusals)
    },
}

# -- Celery (the reasons: each setting defends against something that was seen to happen)

CELERY_BROKER_URL = _REDIS.broker
CELERY_TASK_IGNORE_RESULT = True  # no result backend: a publish to a dead one stalls for 19 s
# A message is acknowledged before its print: it only says that pages wait, and a new child looks for itself. With late
# acknowledgement, a Redis that dies at the end of a print leaves a worker that waits for ever to acknowledge (seen).
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True  # a press holds no message while it prints: another press may be idle
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # a lost broker does not spoil a print
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 300.0  # the child loads the model before it says that it lives
CELERY_WORKER_LOST_WAIT = 0.1  # a killed child's message held up the next one for 10 s; the page is the record, not it
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # nobody uses it, and each worker would hold a pub/sub connection for it
CELERY_TASK_TIME_LIMIT = PRINT_LIMIT
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # never give up on a broker that is away
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 2.0  # the default waits for ever
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A message is only a hint that pages wait, so its redelivery may be late; longer than any print all the same.
    "visibility_timeout": PRINT_LIMIT + 600,
    "socket_timeout": 2.0,  # without it a publish to a frozen broker waits for ever
    "socket_connect_timeout": 2.0,
    "max_retries": 1,
    "health_check_interval": 5,
}
CELERY_TASK_DEFAULT_QUEUE = "press"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
