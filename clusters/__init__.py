"""Programs for operators, beside the manifests that Flux applies."""
