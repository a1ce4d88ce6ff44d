"""Kinds of settings: addresses are kept as they were given, and show no password."""

import pytest

from common.values import DatabaseUrl, HttpUrl, Origin, RedisUrl, ServerUrl


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (DatabaseUrl, "postgresql://h/db"),
        (DatabaseUrl, "postgres://ann:pw@[::1]:5432/db?sslmode=require"),
        (DatabaseUrl, "postgresql:///db?host=/run/postgresql"),
        (RedisUrl, "redis://h:6379/0"),
        (RedisUrl, "rediss://ann:pw@h"),
        (RedisUrl, "unix:///run/redis.sock?db=1"),
        (RedisUrl, "redis+sentinel://:pw@a:26379,b:26379/master/1?sentinel_password=x"),
        (RedisUrl, "redis+cluster://:pw@a:6379,b:6379"),
        (RedisUrl, "rediss+cluster://a/0"),
        (HttpUrl, "http://user-svc:8001"),
        (HttpUrl, "https://api.example/users"),
        (Origin, "https://app.example.com"),
        (Origin, "http://127.0.0.1:8002"),
    ],
)
def test_address_is_kept_as_it_was_given(kind: type[ServerUrl], text: str) -> None:
    """Each kind takes what its server's own tools take."""
    assert kind.parse(text).reveal() == text


@pytest.mark.parametrize("text", ["http://user-svc:8001/", "http://user-svc:8001//"])
def test_trailing_slash_is_dropped(text: str) -> None:
    """Paths are added to it."""
    assert HttpUrl.parse(text).reveal() == "http://user-svc:8001"


@pytest.mark.parametrize("text", ["http:///path", "http://?q", "http://:8001", "http://"])
def test_service_without_a_host_is_refused(text: str) -> None:
    """A service that would never be reached is a mistake to name at the start."""
    with pytest.raises(ValueError, match="must look like http://host:port"):
        HttpUrl.parse(text)


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        (DatabaseUrl, "postgresql://ann:geheim@h:5432/db", "postgresql://***@h:5432/db"),
        (DatabaseUrl, "postgresql://ann:ge@heim@h/db", "postgresql://***@h/db"),
        (DatabaseUrl, "postgresql://h/db?user=ann&password=geheim", "postgresql://h/db"),
        (RedisUrl, "redis://:geheim@h:6379/0", "redis://***@h:6379/0"),
        (RedisUrl, "redis+sentinel://:geheim@a,b/m?sentinel_password=geheim", "redis+sentinel://***@a,b/m"),
        (RedisUrl, "redis+cluster://:geheim@a:1,b", "redis+cluster://***@a:1,b"),
        (RedisUrl, "unix://:geheim@/run/redis.sock", "unix://***@/run/redis.sock"),
        (DatabaseUrl, "postgresql://h:5432/db", "postgresql://h:5432/db"),
    ],
)
def test_address_shows_no_password(kind: type[ServerUrl], text: str, shown: str) -> None:
    """Wherever a password may stand in an address, its repr has none."""
    assert {repr(kind.parse(text)), str(kind.parse(text)), f"{kind.parse(text)}"} == {shown}
