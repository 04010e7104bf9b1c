"""Who there is: accounts, their names and e-mails."""
