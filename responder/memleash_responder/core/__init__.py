"""Pure decisions. Nothing here reads a clock, a file or a socket: facts and now are arguments."""
