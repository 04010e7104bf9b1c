"""What other services ask: is this token good, which logins ended? And the tokens they ask with."""
