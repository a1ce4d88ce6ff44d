"""`auth explain`: what each place says of one token, and what the guard would do. Shows no token and no e-mail."""

import asyncio
import sys
import time
from base64 import urlsafe_b64decode
from contextlib import suppress
from typing import Any

import click
import msgspec
from msgspec import Struct

from common.auth.channel import StandingChannel
from common.auth.decisions import fingerprint
from common.auth.memory import StandingMemory
from common.auth.remote import GuardedSettings, RemoteAuthenticator
from common.auth.settings import verifier
from common.auth.standing import Revoked, Standing, StandingStore, StoreUnavailable
from common.auth.tokens import MAXIMUM_DATE
from common.auth.userinfo import NoVerdict, UserInfoClient
from common.cli import load_or_exit
from common.errors import InvalidToken, Unavailable
from common.redis import listen
from common.resp import RespClient
from common.telemetry import log

SUBSCRIBED = 1.0  # seconds the channel may take


class Explanation(Struct, frozen=True):
    """A line for each place, in the order the ladder asks them; `allowed` is what a plain GET would get."""

    lines: list[tuple[str, str]]
    allowed: bool


def commands(service: str, kind: type[GuardedSettings]) -> click.Group:
    """The group `auth` of a guarded service's command line."""

    @click.group("auth", help="Look into the guard.")
    def auth() -> None:
        return None

    @auth.command("explain", help="What each place says of a token (- reads it from standard input), and the verdict.")
    @click.argument("token")
    def explain_token(token: str) -> None:
        log.configure(service, level="ERROR", form="console")
        settings = load_or_exit(service, kind)
        given = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - a dash is no secret
        explanation = asyncio.run(explain(settings, given))
        for place, text in explanation.lines:
            click.echo(f"{place:<9} {text}")
        raise SystemExit(0 if explanation.allowed else 1)

    return auth


async def explain(settings: GuardedSettings, token: str) -> Explanation:
    """Ask every place, the way the guard does."""
    channel = StandingChannel(listen(settings.redis_url), StandingMemory())
    store = StandingStore(RespClient(settings.redis_url))
    userinfo = UserInfoClient(settings.user_svc_url.reveal())
    guard = RemoteAuthenticator(verifier(settings), channel, store, userinfo, blind=settings.auth_blind)
    async with guard:
        with suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBED):
                await channel.subscribed.wait()
        lines = [("token", f"{fingerprint(token)} (8 hex of its SHA-256)"), *_written(settings, token)]
        try:
            claims = verifier(settings).verify(token)
        except InvalidToken as error:
            return Explanation(
                [*lines, ("proof", f"bad, {error.reason}: {error.detail}"), ("verdict", "401")], allowed=False
            )
        lines += [
            ("proof", "good: signed by a key of the ring, for this audience, unexpired"),
            ("memory", "each worker's own, at most 1 s old; not to be seen from here"),
            ("redis", await _redis(store, channel, claims.session)),
            ("user-svc", await _userinfo(userinfo, token)),
        ]
        return await _verdict(guard, token, lines)


def _written(settings: GuardedSettings, token: str) -> list[tuple[str, str]]:
    """What stands in the token, believed or not."""
    try:
        header, payload = (_decode(part) for part in token.split(".")[:2])
    except (ValueError, TypeError, RecursionError):
        return [("claims", "not readable")]
    kid = header.get("kid")
    known = "of the ring" if isinstance(kid, str) and settings.jwt_keys.get(kid) else "not of the ring"
    now = time.time()
    claims = [f"{name} {payload[name]}" for name in ("iss", "aud", "sub", "sid", "jti") if name in payload]
    times = [
        f"{name} {payload[name]} ({payload[name] - now:+.0f} s)"
        for name in ("iat", "exp")
        if isinstance(payload.get(name), int | float) and abs(payload[name]) < MAXIMUM_DATE
    ]
    return [("key", _printable(f"{kid} ({known})")), ("claims", _printable(", ".join(claims + times)))]


def _printable(text: str) -> str:
    """Whoever made the token, it must not draw on the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _decode(part: str) -> dict[str, Any]:
    return msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, Any])


async def _redis(store: StandingStore, channel: StandingChannel, session: Any) -> str:
    try:
        found = await store.recall(session)
    except StoreUnavailable:
        return "away"
    ready = "holds every tombstone" if found.ready and found.ready == channel.server else "may lack tombstones"
    if found.standing is Revoked.REVOKED:
        return "a tombstone: the session has ended"
    if isinstance(found.standing, Standing):
        return f"good, as of {time.time() - found.standing.as_of:.1f} s ago; {ready}"
    return f"nothing; {ready}"


async def _userinfo(userinfo: UserInfoClient, token: str) -> str:
    try:
        user = await userinfo.ask(token)
    except NoVerdict as error:
        return f"no verdict: {error.outcome}"
    return "good" if user else "refused: the session has ended"


async def _verdict(guard: RemoteAuthenticator, token: str, lines: list[tuple[str, str]]) -> Explanation:
    """The real ladder's answers, for the three things a request can ask for."""
    answers = []
    for name, safe, fresh in (("GET", True, False), ("POST", False, False), ("FRESH", False, True)):
        try:
            principal = await guard.authenticate(token, safe=safe, fresh=fresh)
            answers.append(f"{name} allowed ({principal.source})")
        except InvalidToken as error:
            answers.append(f"{name} 401 ({error.source})")
        except Unavailable as error:
            answers.append(f"{name} 503 ({error.code})")
    return Explanation([*lines, ("verdict", ", ".join(answers))], allowed=answers[0].startswith("GET allowed"))
