"""What runs on the host: takes the evidence of one process and leaves a folder behind.

Only the standard library of CPython 3.6 and newer, and nothing of memleash beside this package:
it travels to the host as one zip file, which the responder packs, and is run from there.
It reads; it never restarts, kills or changes the agent, other than by what the hook counts.
"""
