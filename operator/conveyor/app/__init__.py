"""The process: settings, watches, HTTP endpoints, metrics, logging, main.

What happens to a work item is decided and done elsewhere; this package only plugs the parts together.
"""
