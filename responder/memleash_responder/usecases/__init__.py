"""What the responder does: the order of effects around the pure decisions of ``core``.

intake                   notifications out of the inbox, each alert to who deals with it
restart_requests         a restart is asked for, looked at, and queued, refused or put to a person
agent_facts              what exporter and Prometheus say of agents now
restart_situation        the facts that guards rest on, read afresh
restart_wait             a restart is put to wait, or has waited long enough
restart_looks            what a step looks at before it acts
restart_steps            the steps of a guarded restart, each safe to run twice
restart_workflow         those steps in a row, durable on DBOS
restart_mute             the claim on silence that a restart has for its host
restart_end              a restart gets its final word, and its host is released
abandoned_restarts       what was begun and what no engine will finish is ended
explain                  every guard's verdict on an agent, now
diagnosis_requests       a diagnosis is asked for, looked at, and queued or refused
diagnosis_workflow       begun on the host, waited for, fetched, cleaned up
diagnosis_in_restart     evidence in the middle of a restart, quickly or not at all
diagnosis_plan           what the diagnoser is told for one diagnosis
muting                   claims on silence, renewed by what exporters say
silences                 Alertmanager made to agree with those claims
host_states              the states of all hosts, by what is stored
host_watch               controllers asked about the whole fleet, Prometheus about pings
controller_check         whether a controller can be relied on for a host
host_return              controllers reconnect a host, and its drain ends
host_recovery            lost hosts reconnected, undrains that are still owed
replicas                 which replicas live, and the work of dead ones taken over
keeper                   the schedule that calls the above again and again
readings                 what Prometheus last saw of the agents, for pages
fleet, overview          what people are shown of the fleet, and of the responder
shown_steps              how far a restart got, step by step
expiry                   pauses and maintenances that have ended by themselves are forgotten
pruning                  what is older than ``retention`` is forgotten
operator                 what a person can do
storm_breaker            hosts over their limits are counted; many at once stop restarts
unforeseen               where an unforeseen error ends
slow_work                one pool of threads for all that waits for hosts and peers
services                 what every use case works with, built in one place
"""
