"""The settings of todo-svc."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from common.auth.remote import GuardedSettings


class Settings(GuardedSettings, frozen=True, kw_only=True):
    """What todo-svc is told besides what any guarded service is told."""

    trash_days: Annotated[
        int, Meta(ge=1, le=3650, description="days in which what is deleted from now on can be had back")
    ] = 30

    @property
    def kept(self) -> timedelta:
        """How long what was deleted can be had back."""
        return timedelta(days=self.trash_days)
