"""Who is who: logging in, staying in, going out."""
