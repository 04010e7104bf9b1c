"""The guard: checks bearer tokens. It imports nothing else of Keyturn, so others can use it."""
