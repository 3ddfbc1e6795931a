"""Set-up, teardown and doctor for what has to exist in Azure, in the cluster and on GitHub."""
