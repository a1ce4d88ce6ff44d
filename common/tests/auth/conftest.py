"""Fixtures for the door: every forgery we know of, by the reason it must be refused for."""

import hmac
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from common.auth import KeyRing, standing
from common.testing import AUDIENCE, ISSUER, b64, claims, mint_token, sign

HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "test"}
ID = "0198c0f4-abcd-7000-8000-000000000000"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
Forge = Callable[[KeyRing], str]
Family = dict[str, Forge]


class Forgery(NamedTuple):
    """A token that must be refused, and for which reason."""

    token: str
    reason: str


def encoded(value: dict[str, Any]) -> bytes:
    """JSON as bytes."""
    return json.dumps(value).encode()


def header(value: Any) -> Forge:
    """Signed with the right key, whatever the header says."""
    return lambda keys: sign(keys, value, claims())


def payload(text: bytes) -> Forge:
    """Signed with the right key, whatever the payload says."""
    return lambda keys: sign(keys, HEADER, text)


def spoilt(spoil: Callable[[bytes], bytes], **changes: Any) -> Forge:
    """A good payload, spoilt in its text and then signed."""
    return lambda keys: sign(keys, HEADER, spoil(encoded(claims(**changes))))


def changed(**changes: Any) -> Forge:
    """A good payload but for these claims."""
    return lambda keys: sign(keys, HEADER, claims(**changes))


def dated(issued: float, expires: float) -> Forge:
    """Times in seconds from now."""

    def forge(keys: KeyRing) -> str:
        now = claims()["iat"]
        return sign(keys, HEADER, claims(iat=now + issued, exp=now + expires))

    return forge


def written(name: str, number: str) -> Forge:
    """A claim as it stands in the JSON, where Python itself would not write it so."""
    return spoilt(lambda text: text.replace(b'"@"', number.encode()), **{name: "@"})


def hashed(name: str, **changes: Any) -> Forge:
    """An HMAC of the right key, over this hash."""

    def forge(keys: KeyRing) -> str:
        text = f"{b64(encoded(HEADER | changes))}.{b64(encoded(claims()))}"
        return f"{text}.{b64(hmac.digest(keys.signing[1], text.encode(), name))}"

    return forge


def altered(change: Callable[[str], str]) -> Forge:
    """A good token, changed after it was signed."""
    return lambda keys: change(mint_token(keys))


def part(index: int, change: Callable[[str], str]) -> Forge:
    """One of the three parts written otherwise; the signature is over what is written before it."""

    def forge(keys: KeyRing) -> str:
        parts = [b64(_uneven(HEADER)), b64(_uneven(claims()))]
        if index < len(parts):
            parts[index] = change(parts[index])
        text = ".".join(parts)
        signature = b64(hmac.digest(keys.signing[1], text.encode(), "sha256"))
        return f"{text}.{signature if index < len(parts) else change(signature)}"

    return forge


def _uneven(value: dict[str, Any]) -> bytes:
    """One byte more than a multiple of three, so that its base64 has stray bits and padding to play with."""
    text = encoded(value)
    return text + b" " * ((1 - len(text)) % 3)


def stray(text: str) -> str:
    """The same bytes, with bits in the last character that belong to none."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) | 1]


def swapped(index: int) -> Forge:
    """One part of another good token of the same key."""

    def forge(keys: KeyRing) -> str:
        parts, others = mint_token(keys).split("."), mint_token(keys).split(".")
        parts[index] = others[index]
        return ".".join(parts)

    return forge


def foreign(key: bytes) -> Forge:
    """Signed with another key under the right name."""
    return lambda _keys: sign(KeyRing({"test": key}), HEADER, claims())


def same(token: str) -> Forge:
    """This text, whatever the keys."""
    return lambda _keys: token


TEXTS = {"a list": b"[]", "a string": b'"x"', "a number": b"1", "null": b"null", "true": b"true", "nothing": b" "}
DEFECTS: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda text: text[:-1],
    "twice": lambda text: text + b" {}",
    "in single quotes": lambda text: text.replace(b'"', b"'"),
    "with a comment": lambda text: text + b"/**/",
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "in UTF-16": lambda text: text.decode().encode("utf-16"),
    "not UTF-8": lambda text: text[:-1] + b',"a":"\xff"}',
    "overlong UTF-8": lambda text: text[:-1] + b',"a":"\xc0\x80"}',
    "with NaN": lambda text: text[:-1] + b',"a":NaN}',
    "with a member twice": lambda text: text[:-1] + b',"a":1,"a":1}',
    "with a member twice deep inside": lambda text: text[:-1] + b',"a":[{"b":1,"b":1}]}',
    "nested deeply": lambda text: text[:-1] + b',"a":' + b"[" * 1200 + b"]" * 1200 + b"}",
    "nested without an end": lambda text: text[:-1] + b',"a":' + b"[" * 2400,
}
DATES = {
    "a string": '"9999999999"', "true": "true", "false": "false", "a list": "[9999999999]", "an object": "{}",
    "null": "null", "negative": "-1", "NaN": "NaN", "Infinity": "Infinity", "1e400": "1e400", "2**53": str(2**53),
    "1000 digits": "9" * 1000,
}  # fmt: skip
IDS: dict[str, Any] = {
    "a number": 1, "null": None, "true": True, "a list": [ID], "an object": {}, "empty": "", "a name": "ann",
    "upper case": ID.upper(), "unhyphenated": ID.replace("-", ""), "in braces": f"{{{ID}}}", "a URN": f"urn:uuid:{ID}",
    "behind a space": f" {ID}", "before a newline": f"{ID}\n", "in Arabic digits": ID.replace("0", "\u0660"),
}  # fmt: skip
EXTRA: dict[str, Any] = {
    "zip": "DEF", "crit": ["exp"], "b64": False, "jwk": {"kty": "oct", "k": "AAAA"}, "jku": "https://evil.example/keys",
    "x5u": "https://evil.example/x", "x5c": ["AAAA"], "x5t#S256": "AAAA", "cty": "JWT", "enc": "A256GCM", "p2c": 10**9,
    "": "",
}  # fmt: skip
ALGORITHMS: list[Any] = [
    "none", "None", "NONE", "nOnE", "hs256", "HS256 ", "HS384", "RS256", "ES256", "PS256", "EdDSA", "", None, 256,
    ["HS256"],
]  # fmt: skip
TYPES: list[Any] = ["JWT", "jwt", "AT+JWT", "application/at+jwt", "at+jwt ", "at+jwt\0", "", None, 1, ["at+jwt"]]
KIDS: list[Any] = ["x", "TEST", "", "../../dev/null", "test' OR '1'='1", "test\0", "test ", None, 0, True, ["test"], {}]
JTIS: list[Any] = ["", None, 1, True, ["x"], {}]
ISSUERS: list[Any] = [..., "", None, True, "evil", ISSUER.upper(), f"{ISSUER}\0", [ISSUER]]
AUDIENCES: list[Any] = [..., "", None, {}, "evil", AUDIENCE.upper(), f"{AUDIENCE}/", [AUDIENCE], [AUDIENCE, "evil"]]
INSIDE = ["+", "/", "=", " ", "\n", "\r\n", "\t", "\0", "%2e", "\u00e9", "\uff11", ",", '"']

HEADERS: Family = {
    **{f"alg {value!r}": header(HEADER | {"alg": value}) for value in ALGORITHMS},
    **{f"typ {value!r}": header(HEADER | {"typ": value}) for value in TYPES},
    **{f"header with {name}": header(HEADER | {name: value}) for name, value in EXTRA.items()},
    **{f"header without {name}": header({key: HEADER[key] for key in HEADER if key != name}) for name in HEADER},
    **{f"header {name}": header(text) for name, text in TEXTS.items()},
    **{f"header {name}": header(spoil(encoded(HEADER))) for name, spoil in DEFECTS.items()},
    "alg twice": header(b'{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"test"}'),
    "kid twice, once escaped": header(b'{"alg":"HS256","typ":"at+jwt","kid":"x","\\u006bid":"test"}'),
    "HS384 as it should be": hashed("sha384", alg="HS384"),
    "HS512 as it should be": hashed("sha512", alg="HS512"),
    "RS256 with the secret": hashed("sha256", alg="RS256"),
    "none and unsigned": lambda keys: sign(keys, HEADER | {"alg": "none"}, claims()).rpartition(".")[0] + ".",
}
PAYLOADS: Family = {
    **{f"payload {name}": payload(text) for name, text in TEXTS.items()},
    **{f"payload {name}": spoilt(spoil) for name, spoil in DEFECTS.items()},
    **{f"no {name}": changed(**{name: ...}) for name in ("sub", "sid", "jti", "iat", "exp")},
    **{f"iat {said}": written("iat", text) for said, text in DATES.items()},
    **{f"exp {said}": written("exp", text) for said, text in DATES.items()},
    **{f"sub {said}": changed(sub=value) for said, value in IDS.items()},
    **{f"sid {said}": changed(sid=value) for said, value in IDS.items()},
    **{f"jti {value!r}": changed(jti=value) for value in JTIS},
    "sub twice": spoilt(lambda text: text[:-1] + b',"sub":"%s"}' % ID.encode()),
    "exp twice": spoilt(lambda text: text[:-1] + b',"exp":9999999999}'),
}
SHAPES: Family = {
    **{f"text {text!r}": same(text) for text in ("", ".", "..", "a", "a.b", "a.b.c", "....", "null")},
    **{f"{place} padded": part(index, "{}==".format) for index, place in enumerate(("header", "payload"))},
    **{f"signature padded with {end}": part(2, f"{{}}{end}".format) for end in ("=", "==")},
    **{f"{name} with stray bits": part(index, stray) for index, name in enumerate(("header", "payload", "signature"))},
    **{f"{name} of one character": part(index, lambda _: "e") for index, name in enumerate(("header", "payload"))},
    **{f"signature with {text!r}": part(2, f"{text}{{}}".format) for text in INSIDE},
    "signature of one character": part(2, lambda _: "e"),
    "signature removed": part(2, lambda _: ""),
    "header removed": part(0, lambda _: ""),
    "payload removed": part(1, lambda _: ""),
    "two parts": altered(lambda token: token.rpartition(".")[0]),
    "four parts": altered("{}.".format),
    "five parts": altered("{}.AAAA.AAAA".format),
    "space in front": altered(" {}".format),
    "space behind": altered("{} ".format),
    "newline behind": altered("{}\n".format),
    "in quotes": altered('"{}"'.format),
    "dots of another script": altered(lambda token: token.replace(".", "\uff0e")),
    "over 4 KiB": changed(jti="x" * 4096),
    "a megabyte": same("a." * 500_000),
    "JSON serialization": altered('{{"protected":"{}"}}'.format),
}
SIGNATURES: Family = {
    "signature of zeros": part(2, lambda _: b64(bytes(32))),
    "signature of one byte": part(2, lambda _: b64(b"\0")),
    "signature cut short": part(2, lambda text: text[:40]),
    "signature and more": part(2, "{}AAAA".format),
    "signature of another token": swapped(2),
    "payload of another token": swapped(1),
    "signature of another key": foreign(bytes(range(32))),
    "signature of an empty key": foreign(b""),
    "signature over SHA-512": hashed("sha512"),
}
CLAIMS: Family = {
    **{f"iss {value!r}": changed(iss=value) for value in ISSUERS},
    **{f"aud {value!r}": changed(aud=value) for value in AUDIENCES},
    "issued in the future": dated(60, 600),
    "expires as it is issued": dated(0, 0),
    "expires before it is issued": dated(0, -10),
    "lives a second too long": dated(0, 3601),
    "lives for ever": dated(0, 2**52),
}
REASONS: dict[str, Family] = {
    "malformed": HEADERS | PAYLOADS | SHAPES,
    "unknown_key": {f"kid {value!r}": header(HEADER | {"kid": value}) for value in KIDS},
    "signature": SIGNATURES,
    "claims": CLAIMS,
    "expired": {"expired": dated(-600, -1)},
}
FORGERIES = {name: (forge, reason) for reason, family in REASONS.items() for name, forge in family.items()}


@pytest.fixture
def budgets() -> None:
    """The budgets as they are."""


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no outage: Redis' 50 ms count only where a test takes `budgets`."""
    if "budgets" not in request.fixturenames:
        monkeypatch.setattr(standing, "BUDGET", 10.0)


@pytest.fixture(params=FORGERIES.values(), ids=list(FORGERIES))
def forgery(request: pytest.FixtureRequest, keys: KeyRing) -> Forgery:
    """Each forgery in turn."""
    forge, reason = request.param
    return Forgery(forge(keys), reason)
