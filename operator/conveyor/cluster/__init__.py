"""What the engine needs of Kubernetes, as a narrow protocol, and its implementation on kubernetes.aio.

No client type leaves this package.
"""
