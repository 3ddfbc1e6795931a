"""A server that speaks Discord's protocols (REST v10, gateway v10) for the loop and the tests.

    python -m tests.servers.discord --listen 10.244.0.1:7101 --control 127.0.0.1:7111 \
        --token-file F --seed

What it knows it does as Discord documents it; what it does not know it refuses and counts.
`control.py` is the client of its control API.
"""
