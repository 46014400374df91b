"""Attacks on a sandbox, as data: each has a program, what it is after, and the outcome that shows that it failed.

An attack prints ``held`` lines for what was denied and a ``REACHED`` line for what it got. Many have a positive
control, which shows that the attack would see it if it got there. After each one an ordinary program must run as in a
new sandbox, and no process of the attack may be left on the machine. ``r1ci sandbox check`` and our tests run them.
A new attack belongs in the file of its family.
"""

from r1ci_plugins.sandbox.checks.attacks import exhaustion, files, leftovers, network, privileges, processes, reports

_FAMILIES = (network, files, processes, privileges, leftovers, exhaustion, reports)
ATTACKS = [attack for family in _FAMILIES for attack in family.ATTACKS]
"""All of them, in the order in which they are tried."""
