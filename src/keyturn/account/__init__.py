"""The page on which people see and end their own logins."""
