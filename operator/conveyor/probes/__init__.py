"""What the engine needs to know whether a deployed product is well, and the implementation over HTTP and Prometheus.

No HTTP type leaves this package, and no error either: whoever cannot be asked is not well, and the answer says why.
"""
