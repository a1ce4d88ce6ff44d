"""`todo-svc users`: what an operator does about accounts that were deleted."""

import asyncio

import click

from common.cli import load_or_exit
from common.database import Database
from common.errors import Unavailable
from todo_svc.erasure import Eraser, ErasureLog
from todo_svc.settings import Settings

NAME = "todo-svc"


@click.group(help="Rows of accounts that were deleted at user-svc.")
def users() -> None:
    """The group."""


@users.command(help="List owners whose account was deleted and whose rows are still here; --mend deletes those rows.")
@click.option("--mend", is_flag=True, help="Delete what is found.")
def reconcile(mend: bool) -> None:
    """Compare every deletion that user-svc ever recorded with what is here."""
    try:
        found = asyncio.run(_reconcile(load_or_exit(NAME, Settings), mend=mend))
    except Unavailable as error:
        raise click.ClickException(error.detail) from None
    click.echo(f"{found} orphaned owner{'' if found == 1 else 's'}{', mended' if found and mend else ''}")
    raise SystemExit(1 if found and not mend else 0)


async def _reconcile(settings: Settings, *, mend: bool) -> int:
    log = ErasureLog(settings.user_svc_url.reveal(), settings.jwt_keys)
    found = 0
    try:
        async with Database(settings.session_url.reveal(), size=1, application=f"{NAME} reconcile") as database:
            eraser = Eraser(database)
            async for stretch in log.after(0):
                for owner in await eraser.orphans([erased.user for erased in stretch.items]):
                    click.echo(str(owner))
                    found += 1
                    if mend:
                        await eraser.erase(owner, "reconcile")
    finally:
        await log.close()
    return found
