"""The stack of demo, tests and benchmarks: real processes on free ports of loopback.

    stack             one host and all that watches over it: `make demo` tells its story on it
    layout, configs   what it is about, and the configuration of each part
    observer          what its parts say
    responder         one responder, told and asked; faulty_responder dies or halts at a point
    responder_with_peers  one as its callers meet it, whose peers say what a test wants
    fleet, replicas   many hosts under one responder; responders that share one PostgreSQL
    fake_peers        stand-ins for Prometheus, Alertmanager and controllers, with a fault each
    stalling_clients  clients that never finish a request
    leaking_agents    agents for the diagnoser, and the Pythons that can run them
    processes, ports  programs and what is waited for; own_programs, postgres, sshd: which there are
    http, tools       a client; which Prometheus and Alertmanager

It needs what ``tools/setup demo`` installs; PostgreSQL, gcc and the rest come with
``tools/setup test``. It imports no test.
"""
