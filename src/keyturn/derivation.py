"""Keys for one purpose each, derived from a secret of the settings."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes that tell nothing of the secret, nor of other purposes' keys (RFC 5869)."""
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"keyturn {purpose}".encode())
    return kdf.derive(secret.encode())
