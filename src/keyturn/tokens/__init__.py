"""Signing: access tokens other services may check, refresh tokens only Keyturn can."""
