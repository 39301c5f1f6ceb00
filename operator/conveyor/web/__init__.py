"""What every outside call shares: the errors it can end in, the HTTP client factory, the check of hosts.

It knows neither Gitea nor Plane nor Kubernetes, and lets no type of an HTTP library out.
"""
