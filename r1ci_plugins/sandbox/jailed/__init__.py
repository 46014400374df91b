"""What runs in the jail. The host sends these modules as text, so that no file of this package is visible there."""
