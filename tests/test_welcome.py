"""What `make run` says."""

import pytest

from keyturn import welcome


def test_it_says_where_and_what_to_try(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHON_DOTENV_DISABLED", "1")
    for name, value in {**settings, "PORT": "8999"}.items():
        monkeypatch.setenv(name, value)
    welcome.main()
    said = capsys.readouterr().out
    assert "http://127.0.0.1:8999/auth/login" in said
    assert "bob@gmail.com" in said
