"""Attacks over the wire: RFC 8725 and the Wycheproof JWS families through the whole guard of a running service.

What is wrong with each token is `test_tokens.py`'s affair; here is what its sender gets, and that nobody is asked.
"""

import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from common.auth import KeyRing
from common.auth.standing import TOMBSTONE, key
from common.dto import User
from common.testing import a_user, b64, claims, mint_token, random_keys, session_of, sign

RING = KeyRing.parse(random_keys("test", "older"))
KEY = RING.signing[1]
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "at+jwt", "kid": "test"}
USER = a_user(id=UUID("0198c0f4-abcd-7000-8000-000000000000"))


def good(**changes: Any) -> dict[str, Any]:
    """The claims of a token of `USER`."""
    return claims(**{"sub": str(USER.id), **changes})


def headed(**changes: Any) -> bytes:
    """Rightly signed, under another header; a change to `...` takes a member out."""
    header = {name: value for name, value in (HEADER | changes).items() if value is not ...}
    return sign(RING, header, good()).encode()


def paid(**changes: Any) -> bytes:
    """Rightly signed, with other claims."""
    return sign(RING, HEADER, good(**changes)).encode()


def written(text: bytes, header: bytes | None = None) -> bytes:
    """Rightly signed, whatever the payload's text says."""
    return sign(RING, header or HEADER, text).encode()


def encoded(part: dict[str, Any]) -> bytes:
    """A part of a token."""
    return b64(json.dumps(part).encode()).encode()


def mac(name: str = "sha256", secret: bytes = KEY, header: dict[str, Any] = HEADER) -> bytes:
    """Signed with another hash or secret."""
    text = encoded(header) + b"." + encoded(good())
    return text + b"." + b64(hmac.digest(secret, text, name)).encode()


def torn(change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """A good token whose three parts were changed after it was signed."""
    return b".".join(change(mint_token(RING, sub=str(USER.id)).encode().split(b".")))


def stray(part: bytes) -> bytes:
    """The same bytes, with bits in the last character that belong to none."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[(at := alphabet.index(part[-1]) | 1) : at + 1]


def dated(issued: float, expires: float) -> bytes:
    """Times in seconds from now."""
    now = good()["iat"]
    return paid(iat=now + issued, exp=now + expires)


JSON = json.dumps(good()).encode()
TWICE = b'{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"test"}'
JWK = {"kty": "oct", "k": b64(KEY)}

# The words that its sender is told, and every token that must be refused with them.
ATTACKS: dict[str, dict[str, bytes]] = {
    "header is not that of an HS256 at+jwt": {
        # RFC 8725 sections 2.1, 3.1 and 3.2: the algorithm is ours to choose
        **{f"alg {alg}": headed(alg=alg) for alg in ("none", "None", "NONE", "nOnE", "hs256", "HS256 ", "", None, 256)},
        **{f"alg {alg}": headed(alg=alg) for alg in ("RS256", "ES256", "PS256", "EdDSA", "A128KW", "dir", ["HS256"])},
        "HS384 with the secret": mac("sha384", header=HEADER | {"alg": "HS384"}),
        "HS512 with the secret": mac("sha512", header=HEADER | {"alg": "HS512"}),
        "RS256 keyed with the secret": mac(header=HEADER | {"alg": "RS256"}),
        "alg none, signature left out": headed(alg="none").rpartition(b".")[0] + b".AA",
        # sections 2.8 and 3.11: one kind of JWT is not another
        **{f"typ {typ!r}": headed(typ=typ) for typ in ("JWT", "AT+JWT", "application/at+jwt", "dpop+jwt", "", None, 1)},
        # sections 2.9, 2.10 and 3.10: nothing is fetched or taken because a header says so
        **{f"jku to {host}": headed(jku=f"http://{host}/keys") for host in ("evil.example", "127.0.0.1:1")},
        "jwk": headed(jwk=JWK), "x5u": headed(x5u="http://evil.example/c"), "x5c": headed(x5c=["AAAA"]),
        "x5t": headed(x5t="AAAA"), "x5t#S256": headed(**{"x5t#S256": "AAAA"}), "p2c": headed(p2c=10**9),
        "zip": headed(zip="DEF"), "cty": headed(cty="JWT"), "enc": headed(enc="A256GCM"), "b64": headed(b64=False),
        "crit": headed(crit=["exp"]), "crit of nothing": headed(crit=[]), "crit unknown": headed(crit=["x"], x=1),
        **{f"no {name}": headed(**{name: ...}) for name in HEADER},
        "empty header": sign(RING, {}, good()).encode(),
    },
    "was signed by a key that is not known here": {
        **{f"kid {kid!r}": headed(kid=kid) for kid in ("other", "TEST", "", "test\0", None, 0, True, ["test"])},
        "kid of a path": headed(kid="../../../../dev/null"), "kid of SQL": headed(kid="x' UNION SELECT 'AAAA"),
        "kid of a command": headed(kid="test|id"), "kid of a URL": headed(kid="http://127.0.0.1:1/key"),
    },
    "signature does not match": {
        # RFC 8725 sections 2.2 and 3.5; Wycheproof: modified, truncated, extended, foreign and special signatures
        "of an empty secret": mac(secret=b""), "of the secret as text": mac(secret=b64(KEY).encode()),
        "of the kid": mac(secret=b"test"), "of zeros": mac(secret=bytes(32)),
        "of the other key of the ring": mac(secret=RING.get("older") or b""),
        "over SHA-512": mac("sha512"), "over SHA-1": mac("sha1"),
        "all zeros": torn(lambda parts: [*parts[:2], b64(bytes(32)).encode()]),
        "all ones": torn(lambda parts: [*parts[:2], b64(b"\xff" * 32).encode()]),
        "one byte": torn(lambda parts: [*parts[:2], b"AA"]), "cut": torn(lambda parts: [*parts[:2], parts[2][:40]]),
        "with more behind it": torn(lambda parts: [*parts[:2], parts[2][:-3] + b"AAAAAAA"]),
        "first bit": torn(lambda parts: [*parts[:2], (b"A" if parts[2][:1] != b"A" else b"B") + parts[2][1:]]),
        "of another token": torn(lambda parts: [*parts[:2], mint_token(RING).encode().rpartition(b".")[2]]),
        "claims of another token": torn(lambda parts: [parts[0], mint_token(RING).encode().split(b".")[1], parts[2]]),
        "claims made better": torn(lambda parts: [parts[0], encoded(good(exp=2**40)), parts[2]]),
        "kid exchanged": torn(lambda parts: [encoded(HEADER | {"kid": "older"}), *parts[1:]]),
    },
    "is not base64url": {
        "header of one character": torn(lambda parts: [b"e", *parts[1:]]),
        "signature of one character": torn(lambda parts: [*parts[:2], b"e"]),
    },
    "is not canonical base64url": {
        "stray bits": torn(lambda parts: [*parts[:2], stray(parts[2])]),
    },
    "is no JWT": {
        # Wycheproof: the alphabet, padding, the number of parts, other serializations
        **{f"a part with {byte!r}": torn(lambda parts, byte=byte: [*parts[:2], byte + parts[2]])  # type: ignore[misc]
           for byte in (b"+", b"/", b"=", b"%2e", b"\xe9", b'"', b"$", b"~", b"\\")},
        **{f"{name} padded": torn(lambda parts, at=at: [*parts[:at], parts[at] + b"=", *parts[at + 1 :]])  # type: ignore[misc]
           for at, name in enumerate(("header", "payload", "signature"))},
        **{f"{name} empty": torn(lambda parts, at=at: [*parts[:at], b"", *parts[at + 1 :]])  # type: ignore[misc]
           for at, name in enumerate(("header", "payload", "signature"))},
        "a part too few": torn(lambda parts: parts[:2]), "a part too many": torn(lambda parts: [*parts, b""]),
        "a JWE": torn(lambda parts: [*parts, b"AAAA", b"AAAA"]),
        "JSON serialization": b'{"payload":"e30"}', "JSON around it": b'{"token":"' + mint_token(RING).encode() + b'"}',
        "dots": b"..", "a word": b"null", "quoted": torn(lambda parts: [b'"' + parts[0], parts[1], parts[2] + b'"']),
        "over 4 KiB": paid(jti="x" * 4096),
    },
    "does not hold JSON objects": {
        # RFC 8725 sections 2.4, 2.6 and 3.7: UTF-8, each member once, an object
        **{f"payload is {text}": written(text.encode()) for text in ("[]", '"x"', "1", "null", "true", " ", "{} {}")},
        "cut short": written(JSON[:-1]), "a comment": written(JSON + b"/**/"),
        "in UTF-16": written(JSON.decode().encode("utf-16")),
        "a byte order mark": written(b"\xef\xbb\xbf" + JSON), "not UTF-8": written(JSON[:-1] + b',"a":"\xff"}'),
        "NaN": written(JSON[:-1] + b',"a":NaN}'), "sub twice": written(JSON[:-1] + b',"sub":"x"}'),
        "exp twice": written(JSON[:-1] + b',"exp":9999999999}'), "deep": written(JSON[:-1] + b',"a":' + b"[" * 2000),
        "twice, deep inside": written(JSON[:-1] + b',"a":[{"b":1,"b":2}]}'),
        "header is a list": written(JSON, header=b"[]"), "alg twice": written(JSON, header=TWICE),
        "kid twice, once escaped": written(JSON, header=b'{"alg":"HS256","typ":"at+jwt","kid":"x","\\u006bid":"test"}'),
    },
    "has no": {
        **{f"no {name}": paid(**{name: ...}) for name in ("sub", "sid", "jti", "iat", "exp")},
        **{f"exp {text}": written(json.dumps(good(exp="@")).replace('"@"', text).encode())
           for text in ('"9999999999"', "true", "null", "[1]", "-1", "1e400", "1" * 400)},
        **{f"{name} {value!r}": paid(**{name: value})
           for name in ("sub", "sid") for value in (None, True, 1, "", "ann", str(USER.id).upper(), f"{{{USER.id}}}")},
        **{f"jti {value!r}": paid(jti=value) for value in ("", None, 1, ["x"])},
    },
    "from another issuer": {
        # RFC 8725 sections 3.8 and 3.9; RFC 9068 section 4
        **{f"iss {value!r}": paid(iss=value) for value in (..., "", None, "evil", "USER-SVC", "user-svc\0")},
        "iss in a list": paid(iss=["user-svc"]),
    },
    "meant for another audience": {
        **{f"aud {value!r}": paid(aud=value) for value in (..., "", None, "evil", "GATEHOUSE", "gatehouse/")},
        "aud among others": paid(aud=["evil", "gatehouse"]),
    },
    "times are not acceptable": {
        "issued later": dated(1800, 2400), "expires as it is issued": dated(0, 0), "expires before": dated(0, -10),
        "lives too long": dated(0, 3601), "lives for ever": dated(0, 2**40),
    },
    "expired": {"a second ago": dated(-600, -1), "a life ago": dated(-1200, -600), "in 1970": paid(iat=1, exp=601)},
}  # fmt: skip

# Not one token in one Authorization header (RFC 6750 section 2.1): no token came along, so no error is named.
TOKEN = mint_token(RING, sub=str(USER.id)).encode()
NO_BEARER: dict[str, list[bytes]] = {
    "nothing": [],
    "twice": [b"Authorization: Bearer " + TOKEN, b"Authorization: Bearer " + TOKEN],
    "twice, one of them basic": [b"Authorization: Basic YTpi", b"Authorization: Bearer " + TOKEN],
    "two tokens": [b"Authorization: Bearer " + TOKEN + b", Bearer " + TOKEN],
    "two words": [b"Authorization: Bearer " + TOKEN + b" x"],
    "a comma": [b"Authorization: Bearer " + TOKEN + b","],
    "another scheme": [b"Authorization: Basic YTpi"],
    "a scheme alone": [b"Authorization: Bearer"],
    "a token alone": [b"Authorization: " + TOKEN],
    "no space between": [b"Authorization: Bearer" + TOKEN],
    "a tab between": [b"Authorization: Bearer\t" + TOKEN],
    "a scheme that begins alike": [b"Authorization: Bearers " + TOKEN],
    "a cookie": [b"Cookie: access_token=" + TOKEN],
    "a header of another name": [b"X-Authorization: Bearer " + TOKEN, b"Proxy-Authorization: Bearer " + TOKEN],
}


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """The keys of the service."""
    return RING


@pytest.fixture(scope="module")
def user() -> User:
    """Whom user-svc finds behind every token."""
    return USER


@pytest.mark.parametrize(
    ("description", "token"),
    [pytest.param(words, token, id=name) for words, family in ATTACKS.items() for name, token in family.items()],
)
def test_forged_tokens(service: Any, description: str, token: bytes) -> None:
    """401 that names invalid_token and what is wrong; the route does not run, Redis and user-svc are not asked."""
    asked, ran = service.asked(), service.ran
    answer = service.bear(token)
    assert (answer.status, answer.headers["x-auth-source"]) == (401, "proof")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="invalid_token", error_description="the access token')
    assert description in challenge
    assert answer.body["code"] == "INVALID_TOKEN"
    assert (service.asked(), service.ran) == (asked, ran)


@pytest.mark.parametrize("headers", NO_BEARER.values(), ids=list(NO_BEARER))
def test_no_bearer_token(service: Any, headers: list[bytes]) -> None:
    """Anything but one token in one Authorization header is a plain challenge, without a word of an error."""
    asked, ran = service.asked(), service.ran
    answer = service.send(*headers)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.body["code"] == "NOT_AUTHENTICATED"
    assert (service.asked(), service.ran) == (asked, ran)


def test_token_in_the_query(service: Any) -> None:
    """A token in the address, where logs and histories would keep it, is none (RFC 6750 section 2.3)."""
    asked = service.asked()
    assert service.send(target=b"/secret?access_token=" + TOKEN).status == 401
    assert service.asked() == asked


def test_good_token_is_asked_about(service: Any) -> None:
    """What the counts above are held against: a good token costs a look at Redis, a question and its keeping, once."""
    asked, ran = service.asked(), service.ran
    token = mint_token(RING, sub=str(USER.id)).encode()
    answer = service.bear(token)
    assert (answer.status, answer.headers["x-auth-source"]) == (200, "user-svc")
    assert (service.asked(), service.ran) == (asked + 3, ran + 1)
    assert service.bear(token).headers["x-auth-source"] == "memory"
    assert (service.asked(), service.ran) == (asked + 3, ran + 2)


def test_revoked_is_told_apart(service: Any) -> None:
    """The holder of a token whose session has ended learns that, and that it is neither malformed nor expired."""
    token = mint_token(RING, sub=str(USER.id))
    service.redis.set(key(session_of(token)), TOMBSTONE)
    answer = service.bear(token.encode())
    words = 'Bearer error="invalid_token", error_description="the session of this access token has ended"'
    assert (answer.status, answer.headers["www-authenticate"], answer.headers["x-auth-source"]) == (401, words, "redis")


def test_count_of_vectors() -> None:
    """The list has not shrunk."""
    assert sum(map(len, ATTACKS.values())) + len(NO_BEARER) >= 150
