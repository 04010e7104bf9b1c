"""How often a password may be guessed: by account, by device, by address, and by all together."""
