"""The trusted steps around an agent: clone before it, publish after it.

They run in a run's pod with a forge token that the agent never sees, and trust nothing the agent left behind.
"""
