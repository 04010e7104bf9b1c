"""How Keyturn speaks HTTP: strict JSON in, JSON out, one error shape."""
