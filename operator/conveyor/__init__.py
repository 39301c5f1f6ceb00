"""Conveyor: a ticket from the tracker to a verified deployment, on a Kubernetes cluster."""
