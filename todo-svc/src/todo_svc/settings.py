"""The settings of todo-svc."""

from common.auth.remote import GuardedSettings


class Settings(GuardedSettings, frozen=True, kw_only=True):
    """What todo-svc is told: all of it is what any guarded service is told."""
