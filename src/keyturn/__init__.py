"""Keyturn: a JWT authentication microservice that turns the key at every refresh."""
