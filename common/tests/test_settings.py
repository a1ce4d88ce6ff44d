"""Settings: read once, each wrong one named in one line, no value of a secret shown anywhere."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from common import settings as environment
from common.settings import DatabaseSettings, Settings, SettingsError, load
from common.values import Secret

REQUIRED = {
    "DATABASE_URL": "postgresql://ann:geheim@db.example:5432/todos",
    "REDIS_URL": "redis://:geheim@redis.example",
}

NO_SECRET = "must have no credentials, no query and no fragment"
NO_ORIGIN = "CORS_ORIGINS must be origins such as https://app.example.com, without a path"
NO_OPTIONS = "takes nothing behind the ? but `db` of unix:// and `sentinel_password`"


def refusal(environ: dict[str, str]) -> str:
    """The one line."""
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_required_alone_are_enough() -> None:
    """Everything else has a default fit for production."""
    settings = load(Settings, REQUIRED)
    assert settings.database_url.reveal() == REQUIRED["DATABASE_URL"]
    assert settings.redis_url.reveal() == REQUIRED["REDIS_URL"]
    assert (settings.environment, settings.is_development) == ("production", False)
    assert (settings.log_level, settings.log_format, settings.access_log) == ("INFO", "json", True)
    assert (settings.cors_origins, settings.docs_login) == ([], None)


def test_every_field_is_a_variable() -> None:
    """Names in capitals, lists between commas, words for booleans."""
    settings = load(
        Settings,
        REQUIRED
        | {
            "ENVIRONMENT": "development",
            "DATABASE_POOL_SIZE": "3",
            "CORS_ORIGINS": "https://a.example, http://localhost:3000,",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "console",
            "ACCESS_LOG": "false",
            "DOCS_LOGIN": "ann@example.com:geheim",
        },
    )
    assert settings.is_development
    assert [origin.reveal() for origin in settings.cors_origins] == ["https://a.example", "http://localhost:3000"]
    assert (settings.database_pool_size, settings.log_level, settings.log_format) == (3, "DEBUG", "console")
    assert settings.access_log is False
    assert settings.docs_login is not None
    assert settings.docs_login.reveal() == "ann@example.com:geheim"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is handed over by programs; other variables are no concern of ours."""
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).redis_url.reveal() == REQUIRED["REDIS_URL"]


def test_settings_cannot_be_changed() -> None:
    """What was read at the start holds."""
    settings: Any = load(Settings, REQUIRED)
    with pytest.raises(AttributeError):
        settings.log_level = "DEBUG"


def test_all_that_is_wrong_is_named_at_once() -> None:
    """Nobody has to start five times to learn of five mistakes."""
    wrong = {"REDIS_URL": "http://x", "LOG_LEVEL": "LOUD", "DATABASE_POOL_SIZE": "0"}
    assert refusal(wrong) == (
        "DATABASE_URL is not set; REDIS_URL must look like redis://host:port; "
        "DATABASE_POOL_SIZE must be 1 to 200; LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("DATABASE_URL", "mysql://ann:geheim@h/db", "DATABASE_URL must look like postgresql://host:port"),
        ("DATABASE_URL", "geheim", "DATABASE_URL must look like postgresql://host:port"),
        ("DATABASE_URL", "postgresql://", "DATABASE_URL must look like postgresql://host:port"),
        ("DATABASE_URL", "postgresql://h:geheim/db", "DATABASE_URL must look like postgresql://host:port"),
        ("DATABASE_URL", "postgresql://[geheim/db", "DATABASE_URL must look like postgresql://host:port"),
        ("REDIS_URL", "redis://h:0", "REDIS_URL must look like redis://host:port"),
        ("REDIS_URL", "redis://h:65536", "REDIS_URL must look like redis://host:port"),
        ("REDIS_URL", "redis+sentinel://a:1,b:x/m", "REDIS_URL must look like redis://host:port"),
        ("REDIS_URL", "redis+sentinel://a:1,/m", "REDIS_URL must look like redis://host:port"),
        (
            "REDIS_URL",
            "redis+sentinel://a,b",
            "REDIS_URL must name the master that its sentinels watch: redis+sentinel://host:port/master",
        ),
        ("REDIS_URL", "redis://:geheim\u2100@h", "REDIS_URL must look like redis://host:port"),  # NFKC makes it a/c
        ("REDIS_URL", "redis+sentinel://:geheim\u2100@h/m", "REDIS_URL must look like redis://host:port"),
        *(
            ("REDIS_URL", value, f"REDIS_URL {NO_OPTIONS}")
            for value in (
                "redis://h?db=1",
                "rediss://h?ssl_cert_reqs=none",
                "unix:///s?password=geheim",
                "redis+cluster://h?x",
            )
        ),
        ("CORS_ORIGINS", "https://geheim\u2100", NO_ORIGIN),
        ("REDIS_URL", "redis+cluster://a:1,b:x", "REDIS_URL must look like redis://host:port"),
        ("REDIS_URL", "redis+geheim://a:1", "REDIS_URL must look like redis://host:port"),
        (
            "REDIS_URL",
            "redis+cluster://a,b/1",
            "REDIS_URL must name no database but 0: a cluster has no other",
        ),
        ("REDIS_URL", "redis://h/geheim", "REDIS_URL must end with the number of a database, such as /0, or with none"),
        *(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", value, f"OTEL_EXPORTER_OTLP_ENDPOINT {NO_SECRET}")
            for value in ("http://h/x?key=geheim", "http://ann:geheim@h", "http://h#geheim")
        ),
        ("DOCS_SOURCES", "x=//evil.example/o.json", "DOCS_SOURCES must look like todo-svc=/todo-svc/openapi.json"),
        ("DOCS_SOURCES", "/openapi.json", "DOCS_SOURCES must look like todo-svc=/todo-svc/openapi.json"),
        ("DATABASE_POOL_SIZE", "geheim", "DATABASE_POOL_SIZE must be 1 to 200"),
        ("DATABASE_POOL_SIZE", "201", "DATABASE_POOL_SIZE must be 1 to 200"),
        ("DATABASE_POOL_SIZE", "1.5", "DATABASE_POOL_SIZE must be 1 to 200"),
        ("ACCESS_LOG", "geheim", "ACCESS_LOG must be true or false"),
        ("ENVIRONMENT", "geheim", "ENVIRONMENT must be one of production, development"),
        ("LOG_FORMAT", "geheim", "LOG_FORMAT must be one of json, console"),
        ("CORS_ORIGINS", "ftp://a.example", "CORS_ORIGINS must look like http://host:port"),
        ("CORS_ORIGINS", "https://", "CORS_ORIGINS must look like http://host:port"),
    ],
)
def test_wrong_value_is_named_and_not_shown(name: str, value: str, message: str) -> None:
    """The line says which variable and what is expected, and never what was given."""
    assert refusal(REQUIRED | {name: value}) == message


@pytest.mark.parametrize("value", ["*", "https://*.example", "https://a.example,*"])
def test_wildcard_origin_is_refused(value: str) -> None:
    """Answers carry credentials: each origin is named."""
    assert refusal(REQUIRED | {"CORS_ORIGINS": value}) == (
        "CORS_ORIGINS must name each origin; * is refused because answers carry credentials"
    )


@pytest.mark.parametrize("more", ["/", "/app", "?", "?q=1", "#top"])
@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:3000"])
def test_more_than_an_origin_is_refused(origin: str, more: str) -> None:
    """It would never equal what a browser sends (RFC 6454 section 6.2): better said at the start than searched for."""
    assert refusal(REQUIRED | {"CORS_ORIGINS": origin + more}) == NO_ORIGIN


@pytest.mark.parametrize("value", ["null", "a.example", "https://ann:pw@a.example", "https://A.example"])
def test_what_no_browser_sends_is_refused(value: str) -> None:
    """A host in capitals, credentials, no scheme: none of them can match."""
    assert refusal(REQUIRED | {"CORS_ORIGINS": value}) == NO_ORIGIN


@pytest.mark.parametrize("login", ["ann@example.com", ":geheim", "ann@example.com:"])
def test_login_that_is_none_is_refused(login: str) -> None:
    """The documentation page would fill in half of it."""
    with pytest.raises(SettingsError, match="DOCS_LOGIN must look like email:password"):
        load(Settings, REQUIRED | {"DOCS_LOGIN": login}).check()


def test_settings_show_no_secret() -> None:
    """Whoever logs or prints the settings shows no password."""
    settings = load(Settings, REQUIRED | {"DOCS_LOGIN": "ann@example.com:geheim"})
    assert "geheim" not in repr(settings) + str(msgspec.structs.asdict(settings)) + f"{settings.docs_login}"


def test_secret_is_opaque() -> None:
    """Only `reveal` tells."""
    secret = Secret.parse("geheim")
    assert {repr(secret), str(secret), f"{secret}"} == {"***"}
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == "geheim"
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_secret_from_a_file(tmp_path: Path) -> None:
    """`NAME_FILE` is how Docker and Kubernetes hand over secrets; the newline at the end is none of it."""
    file = tmp_path / "secret"
    file.write_text("redis://:geheim@h\n")
    environ = {"DATABASE_URL": REQUIRED["DATABASE_URL"], "REDIS_URL_FILE": str(file)}
    assert load(Settings, environ).redis_url.reveal() == "redis://:geheim@h"


def test_empty_file_is_not_set(tmp_path: Path) -> None:
    """As an empty variable is not."""
    file = tmp_path / "secret"
    file.write_text("\n")
    assert refusal(REQUIRED | {"REDIS_URL": "", "REDIS_URL_FILE": str(file)}) == "REDIS_URL is not set"


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, not text: the variable that names it is named, and why."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in (("none", "FileNotFoundError"), (".", "IsADirectoryError"), ("binary", "UnicodeDecodeError")):
        environ = REQUIRED | {"REDIS_URL": "", "REDIS_URL_FILE": str(tmp_path / name)}
        assert refusal(environ) == f"REDIS_URL cannot be read from the file of REDIS_URL_FILE: {why}"


def test_variable_and_file_contradict(tmp_path: Path) -> None:
    """Which of the two would win is not for us to guess."""
    assert refusal(REQUIRED | {"REDIS_URL_FILE": str(tmp_path)}) == "REDIS_URL and REDIS_URL_FILE are both set"


def test_migration_needs_the_database_alone() -> None:
    """Whoever migrates needs neither Redis nor keys."""
    settings = load(DatabaseSettings, {"DATABASE_URL": REQUIRED["DATABASE_URL"]})
    assert settings.database_url.reveal() == REQUIRED["DATABASE_URL"]


def test_a_session_of_ones_own_goes_past_the_pooler(tmp_path: Path) -> None:
    """Where there is one; its address is a secret like the other, and may come in a file."""
    (tmp_path / "direct").write_text("postgresql://ann:geheim@postgres.example/todos\n")
    variables = {"DATABASE_POOLER": "transaction", "DATABASE_DIRECT_URL_FILE": str(tmp_path / "direct")}
    settings = load(Settings, REQUIRED | variables)
    settings.check()
    assert settings.is_pooled
    assert settings.session_url.reveal() == "postgresql://ann:geheim@postgres.example/todos"
    assert "geheim" not in repr(settings)
    alone = load(Settings, REQUIRED)
    assert not alone.is_pooled
    assert alone.session_url is alone.database_url


@pytest.mark.parametrize("kind", [DatabaseSettings, Settings])
def test_pooler_that_nothing_goes_past_is_refused(kind: type[DatabaseSettings]) -> None:
    """Somebody has to migrate, and to hear of news; what stands in the way must be of a known kind."""
    with pytest.raises(SettingsError, match=r"^DATABASE_DIRECT_URL is not set: some work has to go past DATABASE_POO"):
        load(kind, REQUIRED | {"DATABASE_POOLER": "transaction"}).check()
    circle = {"DATABASE_POOLER": "transaction", "DATABASE_DIRECT_URL": REQUIRED["DATABASE_URL"]}
    with pytest.raises(SettingsError, match=r"^DATABASE_DIRECT_URL is DATABASE_URL: it has to lead past"):
        load(kind, REQUIRED | circle).check()
    with pytest.raises(SettingsError, match=r"^DATABASE_POOLER must be one of none, transaction$"):
        load(kind, REQUIRED | {"DATABASE_POOLER": "statement"})


def test_variables_of_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """`variable` reads one; `set_for_children` sets one where the environment has none."""
    monkeypatch.setenv("GATEHOUSE_TEST", "theirs")
    monkeypatch.delenv("GATEHOUSE_OTHER", raising=False)
    environment.set_for_children("GATEHOUSE_TEST", "ours")
    environment.set_for_children("GATEHOUSE_OTHER", "ours")
    assert (environment.variable("GATEHOUSE_TEST"), environment.variable("GATEHOUSE_OTHER")) == ("theirs", "ours")
    assert environment.variable("GATEHOUSE_NONE") is None
    monkeypatch.delenv("GATEHOUSE_OTHER")
