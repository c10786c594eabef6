"""Who there is: users, roles, and the keys they sign with."""
