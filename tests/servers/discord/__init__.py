"""A server that speaks Discord's protocols (REST v10, gateway v10) for the loop and the tests.

    python -m tests.servers.discord --listen 10.244.0.1:7101 --control 127.0.0.1:7111 \
        --token-file F --seed

It does what Discord documents; a request that it does not support is refused and counted.
`control.py` is the client of its control API.
"""
