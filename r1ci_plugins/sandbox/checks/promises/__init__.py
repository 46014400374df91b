"""What every sandbox promises, as data: each promise has a name, a meaning and a check of a real sandbox.

``r1ci sandbox check`` checks them with any backend, a plugin's too, and our tests with ours. The checks use the public
contract only. A backend that openly does not give something leaves it out of its ``claims`` (names of
``bench.CLAIMS``); a backend without that attribute claims everything. A promise belongs in the file of its subject.
"""

from r1ci_plugins.sandbox.checks.promises import limits, results, surroundings, traces

PROMISES = [*results.PROMISES, *surroundings.PROMISES, *limits.PROMISES, *traces.PROMISES]
"""All of them, in the order in which they are tried."""
