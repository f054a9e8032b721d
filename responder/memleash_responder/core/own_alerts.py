"""The alerts of memleash's own rules, by name."""

OWN_ALERTS = (
    *("AgentDown", "AgentNotReady", "AgentSampleFailed", "MemleashExporterDown"),
    *("AgentMemoryAboveThreshold", "AgentMemoryGrowing", "AgentMemoryHardLimitPredicted"),
    *(
        "AgentMemoryFleet",
        "AgentMemoryHardLimitExceeded",
        "AgentBusy",
        "AgentBusyTooLong",
        "HostPingFailed",
    ),
    *("MemleashResponderDown", "MemleashResponderPaused", "MemleashStorm", "AgentRestartFailed"),
    *("AgentRestartAwaitsApproval", "AgentRestartBlocked", "AgentRestartLoop"),
)
"""Alerts of memleash's own rules: none of them holds a restart back."""

TRIGGERS = ("AgentMemoryHardLimitExceeded", "AgentMemoryGrowing", "AgentBusy")
"""Alerts that the responder itself acts on: no mute may cover them."""
