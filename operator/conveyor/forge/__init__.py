"""What the engine needs of a code forge, and the Gitea implementation.

No HTTP type leaves this package; an answer is a value of ours or an error of `errors`.
"""
