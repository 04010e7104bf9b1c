"""`flask keys`: the operator's way to signing keys."""

from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.console import (
    REFUSED,
    CommandError,
    command,
    confirm,
    json_option,
    show,
    yes_option,
)
from keyturn.database import db
from keyturn.services import services
from keyturn.tokens import key_rotation
from keyturn.tokens.key_rotation import KeyMaker
from keyturn.tokens.keyring import cannot_open
from keyturn.tokens.lifecycle import Life
from keyturn.tokens.models import SigningKey

cli = AppGroup(
    "keys",
    help="Look at, rotate and revoke signing keys. KEY is a number or a kid of the list.",
)

# A kid may begin with a dash, and is no option then.
key_argument = click.argument("key", metavar="KEY")
_ANY_KID = {"ignore_unknown_options": True}


@cli.command("list")
@json_option
@command
def list_keys(*, as_json: bool) -> None:
    """List all keys, oldest first, with the times of their lives.

    A key is published before it signs, and after it is retired for as long as its tokens live.
    """
    maker = _maker()
    lives = _show_all(maker, as_json=as_json)
    for life in lives:
        if life.may_sign and not maker.vault.opens(life.key.kid, life.key.private_key):
            click.echo(cannot_open(life.key), err=True)


@cli.command("rotate")
@click.option(
    "--now", "at_once", is_flag=True, help="Let the new key sign at once, not when all know it."
)
@json_option
@command
def rotate(*, at_once: bool, as_json: bool) -> None:
    r"""Make a new key, which takes over when every verifier can have it.

    That is after JWKS_MAX_AGE and a little more; the old key signs until then, and its tokens stay
    good. With --now, services that do not ask again for a key they do not know refuse new tokens
    until their copy of the JWKS is old: for a lost KEY_ENCRYPTION_SECRET.

    \b
    flask keys rotate
    flask keys rotate --now
    """
    maker = _maker()
    key_rotation.rotate(db.session(), maker=maker, at_once=at_once, now=clock.now())
    _show_all(maker, as_json=as_json)


@cli.command("retire", context_settings=_ANY_KID)
@key_argument
@json_option
@command
def retire(key: str, *, as_json: bool) -> None:
    """Let a key sign no more; its tokens stay good.

    The key that signs goes on until its successor, made now if there is none, has been published
    long enough. A key that has signed nothing yet never will.
    """
    maker = _maker()
    key_rotation.retire(db.session(), key, maker=maker, now=clock.now())
    _show_all(maker, as_json=as_json)


@cli.command("revoke", context_settings=_ANY_KID)
@key_argument
@yes_option
@json_option
@command
def revoke(key: str, *, yes: bool, as_json: bool) -> None:
    """Refuse all tokens of a key at once: it was stolen.

    Keyturn itself refuses them within a second, other services when their copy of the JWKS is old
    (JWKS_MAX_AGE). If the key is the one that signs, a new one signs from now on. Nobody is logged
    out: clients refresh.
    """
    maker = _maker()
    confirm(f"Refuse all tokens of key {key}?", yes=yes)
    key_rotation.revoke(db.session(), key, maker=maker, now=clock.now())
    _show_all(maker, as_json=as_json)


def _maker() -> KeyMaker:
    maker = services().key_maker
    if maker is None:
        raise CommandError("ACCESS_SECRET is set: it signs, and there are no key pairs.", REFUSED)
    return maker


def _show_all(maker: KeyMaker, *, as_json: bool) -> list[Life[SigningKey]]:
    lives = key_rotation.list_all(db.session(), maker.schedule, clock.now())
    show([_described(life) for life in lives], as_json=as_json)
    return lives


def _described(life: Life[SigningKey]) -> dict[str, Any]:
    return {
        "number": life.key.number,
        "kid": life.key.kid,
        "algorithm": life.key.algorithm,
        "state": life.state.value,
        "published": _written(life.key.published_at),
        "signing": _written(life.key.signing_at),
        "retired": _written(life.retired_at),
        "gone": _written(life.gone_at),
    }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
