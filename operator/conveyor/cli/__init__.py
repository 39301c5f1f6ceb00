"""`kubectl workitem …`: reads and annotates objects with the user's own rights.

It talks to the API server alone, never to the operator's memory, and prints the same rows as table and as JSON.
"""
