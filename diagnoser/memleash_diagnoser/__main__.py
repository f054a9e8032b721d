"""The diagnoser's verbs; each prints one line of JSON. Run by the responder over SSH.

start PLAN      begin a diagnosis in the background; the same run again begins nothing
status PLAN     {"state": "running" | "done" | "refused" | "died" | "unknown", ...}
read PLAN AT    {"state": "read", "data": base64 of a piece of the report's tar.gz, "bytes": all}
stop PLAN       tell a running diagnosis to end; it still writes its report
clean PLAN      remove the run's folder
collect PLAN    (internal) the diagnosis itself, in the foreground
"""

import sys

from .detached_runs import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
