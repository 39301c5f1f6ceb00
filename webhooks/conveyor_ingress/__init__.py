"""The ingress: turns a verified webhook into one small write that says "look again".

It decides nothing, stores nothing an event claims, and imports nothing of the operator but `conveyor.api`.
"""
