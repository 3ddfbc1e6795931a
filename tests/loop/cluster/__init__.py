"""The parts of the loop's cluster, from etcd to Flux and the secrets store."""
