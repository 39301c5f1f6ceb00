"""How a decision is made safe: cache, work queue, the reconcile pass, transitions, runs, sweep.

It carries out what `pipeline` decides and decides no policy itself.
"""
