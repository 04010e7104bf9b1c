"""The audit trail: who did what, from where, kept with what was done."""
