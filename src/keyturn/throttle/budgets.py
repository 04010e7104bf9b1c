"""Which budgets an attempt takes from, and when there is something in them again. Pure.

A budget holds `limit` attempts and fills up again within `period`, evenly: the Generic Cell Rate
Algorithm of ITU-T I.371, which needs one number, the time at which the budget will be full.
Budgets are known by a keyed digest of whose they are, so a copy of the database names nobody.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import UUID

from keyturn.parsing import Rate

ACCOUNT = "account"
DEVICE = "device"
DEVICES = "devices"
SESSION = "session"
ADDRESS = "address"
ALL = "all"

# All devices of a user share so many times the budget of one: whoever had the password for a while
# may have gathered device tokens without end.
DEVICES_AT_ONCE = 10

UNKNOWN = "unknown"  # stands for what is no address

_SUBSCRIBER = 64  # bits of an IPv6 address: the rest is the subscriber's to choose (RFC 6177)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Claim:
    """One attempt's share of one budget. `holder` is the key of whom the budget serves."""

    kind: str
    key: str
    holder: str
    rate: Rate

    @property
    def cost(self) -> int:
        """What an attempt takes out: the microseconds that put it back."""
        return self.size // self.rate.limit

    @property
    def size(self) -> int:
        """What a full budget holds, in microseconds."""
        return self.rate.period * 1_000_000

    def wait(self, full_at: int, at: int) -> int:
        """Return for how long the budget lacks an attempt, in microseconds; 0 or less: it has."""
        return full_at + self.cost - (at + self.size)


class Budgets:
    """Says what an attempt must claim. Every tuple is in the one order that budgets are locked in.

    E-mails are in their one form.
    """

    def __init__(self, key: bytes, *, account: Rate, address: Rate, everything: Rate) -> None:
        self._key = key
        self._account = account
        self._address = address
        self._everything = everything

    def of_login(self, email: str, address: str, device_id: UUID | None) -> tuple[Claim, ...]:
        """Return the claims of a login: a known device's own, or all that a stranger shares."""
        if device_id is None:
            return (self._of(ACCOUNT, email, self._account), *self.of_stranger(address))
        holder = self.key_of(ACCOUNT, email)
        limit, period = self._account.limit * DEVICES_AT_ONCE, self._account.period
        return (
            self._of(DEVICE, str(device_id), self._account, holder),
            self._of(DEVICES, email, Rate(limit, period), holder),
        )

    def of_confirmation(self, email: str, login_id: UUID) -> tuple[Claim, ...]:
        """Return the claims of a logged in user who confirms something with the password."""
        holder = self.key_of(ACCOUNT, email)
        return (self._of(SESSION, str(login_id), self._account, holder),)

    def of_stranger(self, address: str) -> tuple[Claim, ...]:
        """Return the claims of whoever is at an address, and may be anybody."""
        return (
            self._of(ADDRESS, network_of(address), self._address),
            self._of(ALL, "", self._everything),
        )

    def key_of(self, kind: str, whose: str) -> str:
        """Return what a budget is known by."""
        return hmac.new(self._key, f"{kind}:{whose}".encode(), hashlib.sha256).hexdigest()

    def _of(self, kind: str, whose: str, rate: Rate, holder: str | None = None) -> Claim:
        key = self.key_of(kind, whose)
        return Claim(kind, key, holder or key, rate)


def network_of(address: str) -> str:
    """Return what stands for an address: itself, or the /64 that one IPv6 subscriber has.

    What is no address, as of a socket file or of a proxy that forwards none, is all one.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ip_network((int(parsed), _SUBSCRIBER), strict=False))
    return str(parsed)


def microseconds(time: datetime) -> int:
    """Return a time as microseconds since 1970, in which budgets reckon."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(at: int) -> datetime:
    """Return the time of microseconds since 1970."""
    return _EPOCH + at * _MICROSECOND
