"""The kinds WorkItem and Repository: models, names, stages, annotations, and the CRDs made from them.

No I/O and no decisions live here: whoever imports it learns what the words mean, not what happens next.
"""
