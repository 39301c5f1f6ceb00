"""Measurements of the product on a local control plane, for people to run and compare; none of them is a test.

What is measured runs unchanged; only the world outside the cluster (forge, tracker, agents' Jobs) is invented here.
"""
