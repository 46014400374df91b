"""Running untrusted programs: the contract and its backends."""
