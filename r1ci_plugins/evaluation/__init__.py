"""Statistics over outcomes, and the tables made of them."""
