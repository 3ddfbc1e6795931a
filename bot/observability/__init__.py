"""Structured logs, Prometheus metrics, and the HTTP port for probes and metrics."""
