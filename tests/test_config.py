"""Settings: read from the environment, checked at the start, and all of them documented."""

import re
from pathlib import Path

import pytest

from keyturn import config
from keyturn.app import create_app
from keyturn.config import Settings
from keyturn.errors import ConfigurationError
from tests.conftest import SECRETS
from tests.support.server import ROOT


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ACCESS_SECRET", "short", "has 5 bytes, at least 32 are needed"),
        ("REFRESH_SECRET", "k" * 64, "is a pattern, not random"),
        ("REFRESH_SECRET", "change-me-change-me-change-me-now", "is an example, not a secret"),
        ("ACCESS_SECRET", "a-string-secret-at-least-256-bits-long", "is an example"),
        ("REFRESH_SECRET", SECRETS["KEY_ENCRYPTION_SECRET"], "must differ"),
        ("DATABASE_URL", "not a url", "is not a database URL"),
        ("DATABASE_URL", "sqlite://", "must name a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "must name a file"),
        ("DATABASE_URL", "sqlite:////nowhere/at/all.db", "cannot be used"),
        ("DATABASE_URL", "nosuch://nowhere", "is not a database URL"),
        ("DATABASE_URL", "oracle://nowhere", "cannot be used"),
        ("KEYTURN_ENV", "staging", "must be one of production, development"),
        ("ACCESS_TTL", "15m", "must be a whole number from 60 to 3600"),
        ("ACCESS_TTL", "86400", "must be a whole number from 60 to 3600"),
        ("REFRESH_GRACE", "-1", "must be a whole number"),
        ("REFRESH_GRACE", "\u0661", "must be a whole number"),
        ("PASSWORD_MIN_LENGTH", "7", "from 8 to 64"),
        *(
            ("CORS_ORIGINS", value, "is no origin like")
            for value in (
                "*",
                "null",
                "app.example.com",
                "https://*.example.com",
                "https://app.example.com/",
                "https://app.example.com:443",
                "https://app.example.com:port",
                "https://App.example.com",
                "https://me@app.example.com",
                "https://b\u00fccher.example",
                "https://[::1",
                "ftp://app.example.com",
                "https://a.example.com,,https://b.example.com",
                "https://a.example.com https://b.example.com",
            )
        ),
        ("CORS_ORIGINS", "http://app.example.com", "which is not https"),
        ("CORS_ORIGINS", "http://127.0.0.1.example.com", "which is not https"),
        ("CORS_ORIGINS", "http://notlocalhost", "which is not https"),
        ("ISSUER", " ", "must be a URL"),
        ("ISSUER", "auth.example.com", "must be a URL"),
        ("ISSUER", "https://auth.example.com/?a=b", "must be a URL"),
        ("AUDIENCE", " ", "must not be empty"),
        ("SIGNING_ALGORITHM", "HS256", "must be one of ES256, EdDSA, RS256"),
        ("KEY_ENCRYPTION_SECRET", "short", "has 5 bytes, at least 32 are needed"),
        ("ACCESS_SECRET", SECRETS["KEY_ENCRYPTION_SECRET"], "must differ"),
        ("THROTTLE_ACCOUNT", "101/3600", "must be attempts/seconds, from 1 to 100 in"),
        ("THROTTLE_ACCOUNT", "0/3600", "must be attempts/seconds"),
        ("THROTTLE_ADDRESS", "100", "must be attempts/seconds"),
        ("THROTTLE_ALL", "100/1h", "must be attempts/seconds"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(
    settings: dict[str, str], name: str, value: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.*{re.escape(reason)}") as refused:
        create_app({**settings, name: value})
    if name.endswith("SECRET"):
        assert value not in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.load({"ACCESS_TTL": "soon"})
    assert "REFRESH_SECRET is not set" in str(refused.value)
    assert "KEY_ENCRYPTION_SECRET is not set" in str(refused.value)
    assert "ACCESS_TTL must be" in str(refused.value)


def test_a_file_that_is_no_database_is_refused(settings: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Bob, " * 1000)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        create_app({**settings, "DATABASE_URL": f"sqlite:///{path}"})


def test_the_environment_is_read_and_overrides_win(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCESS_TTL", "120")
    assert Settings.load({**settings}).access_ttl == 900
    app = create_app(settings)
    assert app.extensions["keyturn"].settings.access_ttl == 120
    app = create_app({**settings, "ACCESS_TTL": "240"})
    assert app.extensions["keyturn"].settings.access_ttl == 240


def test_production_refuses_the_debugger(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    with pytest.raises(ConfigurationError, match="FLASK_DEBUG"):
        create_app({**settings, "KEYTURN_ENV": "production"})


def test_a_relative_sqlite_path_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = Settings.load({**SECRETS, "DATABASE_URL": "sqlite:///here.db"}).database_url
    assert url.database == str(tmp_path / "here.db")


def test_origins_are_listed_as_browsers_write_them() -> None:
    listed = "https://app.example.com, https://app.example.com:8443,http://localhost:5173"
    local = "http://app.localhost,http://127.0.0.1:5173,http://[::1]:5173"
    origins = Settings.load({**SECRETS, "CORS_ORIGINS": f"{listed},{local}"}).cors_origins
    assert len(origins) == 6
    assert "https://app.example.com:8443" in origins
    assert Settings.load({**SECRETS, "CORS_ORIGINS": " "}).cors_origins == frozenset()


def test_every_setting_is_documented() -> None:
    assert config.markdown() in (ROOT / "docs" / "configuration.md").read_text()
