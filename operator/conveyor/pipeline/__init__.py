"""The policy of the product: which step comes next, as pure functions of data and a given time.

Nothing here reads a clock, an environment, a file or a network; whatever it needs to know is passed in.
"""
