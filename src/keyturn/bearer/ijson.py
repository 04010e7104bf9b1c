"""I-JSON (RFC 7493), the JSON that means the same to everybody who reads it."""

import json
from typing import Any, NoReturn


def parse(data: bytes) -> Any:
    """Parse I-JSON: UTF-8, no duplicate names, no lone surrogates, numbers of JSON.

    Raises `ValueError` for anything else, however deep it nests.
    """
    try:
        document = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:  # the only way to a lone surrogate, section 2.1
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):  # section 2.3
        raise ValueError("duplicate names")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
