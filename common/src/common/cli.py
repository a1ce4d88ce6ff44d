"""The command line of a service: `serve` and `migrate`; a wrong setting ends either with one line."""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click
import uvicorn

from common import settings as environment
from common.database import translated
from common.errors import Unavailable
from common.gc_freeze import SERVED
from common.http.bounded import BoundedProtocol
from common.telemetry.metrics import FOLDER
from common.variables import shown, variables

S = TypeVar("S", bound=environment.DatabaseSettings)


def load_or_exit(service: str, kind: type[S]) -> S:
    """Read the settings, or end with exit code 2 and one line that names what is wrong."""
    try:
        settings = environment.load(kind)
        settings.check()
    except environment.SettingsError as error:
        sys.stderr.write(f"{service}: {error}\n")
        raise SystemExit(2) from None
    return settings


def commands(service: str, *, settings: type[environment.Settings], migrations: Path) -> click.Group:
    """The group of commands that every service has."""

    @click.group(name=service, help=f"Run and migrate {service}; settings come from the environment.")
    def group() -> None:
        return None

    group.command("serve", help="Answer requests until SIGTERM.")(_serve(service, settings))
    group.command("migrate", help="Bring the database up to date.")(_migrate(service, migrations))
    return group


def _serve(service: str, kind: type[environment.Settings]) -> Callable[..., None]:
    @click.option("--host", default="127.0.0.1", show_default=True)
    @click.option("--port", type=click.IntRange(1, 65535), required=True)
    @click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True)
    @click.option(
        "--print-config",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_config(service, kind),
        help="Show every setting and where it comes from, secrets masked, and end.",
    )
    def serve(host: str, port: int, workers: int) -> None:
        load_or_exit(service, kind)
        environment.set_for_children(SERVED, "yes")
        with _ends_well(), _shared_metrics(service, workers):
            uvicorn.run(
                f"{service.replace('-', '_')}.app:create_app",
                factory=True,
                host=host,
                port=port,
                workers=workers,
                http=BoundedProtocol,
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=10,
            )

    return serve


def _print_config(service: str, kind: type[environment.Settings]) -> Callable[..., None]:
    def show(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
        if not wanted:
            return
        settings = load_or_exit(service, kind)
        for each in variables(kind):
            click.echo(f"{each.name}={shown(getattr(settings, each.name.lower()))}  # {environment.source(each.name)}")
        context.exit()

    return show


@contextmanager
def _ends_well() -> Iterator[None]:
    """Code 0 at SIGTERM: uvicorn raises the signal once more when it has ended in order, which is no failure."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _shared_metrics(service: str, workers: int) -> Iterator[None]:
    """A folder for the numbers of several workers; one alone writes to no disk."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix=f"{service}-metrics-") as folder:
        environment.set_for_children(FOLDER, folder)
        yield


def _migrate(service: str, folder: Path) -> Callable[[], None]:
    def migrate() -> None:
        from common.migrations import upgrade  # noqa: PLC0415 - alembic takes half a second, and `serve` needs none of it

        settings = load_or_exit(service, environment.DatabaseSettings)
        try:
            with translated():
                upgrade(settings.session_url.reveal(), folder)
        except Unavailable as error:
            name = "DATABASE_URL" if settings.database_direct_url is None else "DATABASE_DIRECT_URL"
            sys.stderr.write(f"{service}: {name}: {error.detail} ({type(error.__cause__).__name__})\n")
            raise SystemExit(1) from None

    return migrate
