"""What the engine needs of a ticket tracker, and the Plane implementation.

No HTTP type leaves this package; an answer is a value of ours or an error of `errors`.
"""
