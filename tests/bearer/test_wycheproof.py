"""Project Wycheproof's vectors for JSON Web Signatures and Keys.

They are not part of this repository. `KEYTURN_VECTORS` names their folder, relative to the top of
this one: https://github.com/C2SP/wycheproof has it as `testvectors_v1`.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

from keyturn.bearer import BearerError, StaticKeys, UnfitKeyError, signature
from keyturn.bearer.jwk import ALGORITHMS
from tests.support.parts import missing
from tests.support.server import ROOT

# Called valid, though their alg is not the key's (346, 350) or they hold characters that are not
# base64url (372, 373); called invalid, though they are the very bytes of a valid one (367, 370).
UNUSABLE = {346, 350, 367, 370, 372, 373}


def groups(name: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The keys of each group of a file, and the group's tests."""
    folder = os.environ.get("KEYTURN_VECTORS")
    path = ROOT / (folder or "") / f"json_web_{name}_test.json"
    if not folder or not path.exists():
        missing(f"{path.name}: KEYTURN_VECTORS={folder or ''} is not where the vectors are")
    for group in json.loads(path.read_text())["testGroups"]:
        key = group.get("public") or group["private"]
        yield key if "keys" in key else {"keys": [key]}, group["tests"]


def holds(jwks: dict[str, Any], token: str) -> bool:
    """Whether the key set is taken, and the signature holds under it."""
    try:
        signature.verify(token, StaticKeys(jwks, algorithms=ALGORITHMS))
    except (UnfitKeyError, BearerError):
        return False
    return True


def verdicts(name: str, form: str = "jws") -> tuple[dict[int, bool], dict[int, bool]]:
    """What this verifier says of each test, and what is right."""
    said, right = {}, {}
    for jwks, tests in groups(name):
        for test in (one for one in tests if form in one):
            token = test[form]  # some are JSON, which a client would send as its text
            said[test["tcId"]] = holds(jwks, token if isinstance(token, str) else json.dumps(token))
            right[test["tcId"]] = test["result"] == "valid"
    return said, right


def test_all_vectors_of_signatures_but_the_six_that_contradict_the_rfcs() -> None:
    said, right = verdicts("signature")
    assert len(said) == 401
    assert {number for number in said if said[number] != right[number]} == UNUSABLE


def test_all_vectors_of_keys() -> None:
    said, right = verdicts("key")
    assert len(said) == 26
    assert said == right


def test_all_vectors_of_signatures_and_keys_together() -> None:
    said, right = verdicts("crypto")
    assert said == right
    assert sum(right.values()) == 4


def test_no_encrypted_token_is_a_signed_one() -> None:
    said, _ = verdicts("crypto", form="jwe")
    assert len(said) == 34
    assert not any(said.values())
