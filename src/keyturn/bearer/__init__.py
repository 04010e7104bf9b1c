"""The guard: checks bearer tokens. It imports nothing else of Keyturn, so others can use it."""

from keyturn.bearer.decorator import Bearer, current_claims
from keyturn.bearer.errors import BearerError
from keyturn.bearer.jwk import UnfitKeyError
from keyturn.bearer.keys import KeySet, StaticKeys
from keyturn.bearer.remote import RemoteKeys
from keyturn.bearer.revocations import RevocationFeed

__all__ = [
    "Bearer",
    "BearerError",
    "KeySet",
    "RemoteKeys",
    "RevocationFeed",
    "StaticKeys",
    "UnfitKeyError",
    "current_claims",
]
