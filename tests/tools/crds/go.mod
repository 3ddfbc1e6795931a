module tools/crds

go 1.26.0

// Only files of it are taken, no code: its own go line (1.27) does not matter.
require github.com/controlplaneio-fluxcd/flux-operator v0.59.0
