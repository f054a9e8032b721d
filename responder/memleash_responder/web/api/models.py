"""The shapes of what the API gives, as JSON Schema (OpenAPI 3.1). ``web.shapes`` makes them."""

from __future__ import annotations

from typing import Any

from memleash_responder.core.guards import GUARDS
from memleash_responder.core.outcomes import (
    DIAGNOSIS_OUTCOMES,
    RESTART_OUTCOMES,
    HostState,
    Mode,
    Remediation,
    Step,
)
from memleash_responder.usecases.step_states import StepState

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY_OBJECT: Schema = {"type": "object"}


def maybe(schema: Schema) -> Schema:
    """Return ``schema`` or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def words(values: Any) -> Schema:
    """Return a closed set of words."""
    return {"type": "string", "enum": [str(value) for value in values]}


def every(schema: Schema) -> Schema:
    """Return a list."""
    return {"type": "array", "items": schema}


def thing(**properties: Schema) -> Schema:
    """Return an object that has all of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def ref(name: str) -> Schema:
    """Return a reference to one of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def page(name: str, schema: Schema) -> Schema:
    """Return one page of a list; next_offset is null on the last."""
    return thing(**{name: every(schema), "next_offset": maybe(WHOLE)})


_BYTES: Schema = maybe({"type": "integer", "minimum": 0})
_OUTCOME = words(RESTART_OUTCOMES)

COMPONENTS: dict[str, Schema] = {
    "Problem": {
        "type": "object",
        "properties": {"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT},
        "required": ["type", "title", "status", "detail"],
    },
    "Mute": thing(muted=TRUTH, until=maybe(TIME), reason=maybe(TEXT)),
    "Agent": thing(
        mode=words(Mode),
        up=maybe(TRUTH),
        started_at=maybe(TIME),
        resident_bytes=_BYTES,
        alarm_threshold_bytes=_BYTES,
        hard_limit_bytes=_BYTES,
        busy=maybe(TRUTH),
        ready=maybe(TRUTH),
        seen_at=maybe(TIME),
        unknown=maybe(TEXT),
        quarantined=maybe(TEXT),
        restart=maybe(TEXT),
        would_restart=TRUTH,
        verdict=maybe(_OUTCOME),
        reason=maybe(TEXT),
    ),
    "Host": thing(
        host=TEXT,
        state=words(HostState),
        state_since=maybe(TIME),
        next_reconnect_at=maybe(TIME),
        labels={"type": "object", "additionalProperties": TEXT},
        mute=ref("Mute"),
        agents={"type": "object", "additionalProperties": ref("Agent")},
    ),
    "Step": thing(
        step=words(Step), state=words(StepState), started_at=maybe(TIME), seconds=maybe(NUMBER)
    ),
    "Restart": thing(
        id=TEXT,
        host=TEXT,
        agent=TEXT,
        requested_at=TIME,
        requested_by=TEXT,
        forced=TRUTH,
        step=TEXT,
        fingerprint=maybe(TEXT),
        alert_started_at=maybe(TIME),
        approval=maybe(words(["approved", "denied"])),
        approval_by=maybe(TEXT),
        resolved=TRUTH,
        command_sent_at=maybe(TIME),
        outcome=maybe(_OUTCOME),
        reason=TEXT,
        finished_at=maybe(TIME),
        facts=ANY_OBJECT,
        steps=every(ANY_OBJECT),
        progress=every(ref("Step")),
    ),
    "Explanation": thing(
        host=TEXT,
        agent=TEXT,
        would_restart=TRUTH,
        verdict=maybe(_OUTCOME),
        reason=maybe(TEXT),
        guards=every(
            thing(
                guard=words(guard.name for guard in GUARDS),
                passes=TRUTH,
                verdict=maybe(_OUTCOME),
                reason=maybe(TEXT),
            )
        ),
        facts=ANY_OBJECT,
    ),
    "Alert": thing(
        fingerprint=TEXT,
        starts_at=TIME,
        alertname=TEXT,
        host=TEXT,
        agent=TEXT,
        remediation=maybe(words(Remediation)),
        status=words(["firing", "resolved"]),
        refused=maybe(_OUTCOME),
        first_received_at=TIME,
        last_received_at=TIME,
        deliveries=WHOLE,
    ),
    "Quarantine": thing(host=TEXT, agent=TEXT, since=TIME, reason=TEXT),
    "Status": thing(
        version=TEXT,
        paused=TRUTH,
        changed_by=maybe(TEXT),
        changed_at=maybe(TIME),
        storm=maybe(TEXT),
        open_restarts=WHOLE,
        awaiting_approval=WHOLE,
        muted_hosts=WHOLE,
        quarantined=WHOLE,
        disconnected=every(TEXT),
    ),
    "Report": thing(
        since=TIME,
        total=WHOLE,
        restarts=every(thing(agent=TEXT, outcome=maybe(_OUTCOME), requests=WHOLE, hosts=WHOLE)),
        observed=every(thing(agent=TEXT, would_be=_OUTCOME, requests=WHOLE, hosts=WHOLE)),
    ),
    "PingTarget": thing(
        targets=every(TEXT), labels={"type": "object", "additionalProperties": TEXT}
    ),
    "Diagnostic": thing(host=TEXT, agent=TEXT, time=TEXT, taken_at=TIME, size_bytes=WHOLE),
    "Diagnosis": thing(
        id=TEXT,
        host=TEXT,
        agent=TEXT,
        requested_at=TIME,
        requested_by=TEXT,
        step=TEXT,
        rounds=maybe(WHOLE),
        interval_seconds=maybe(NUMBER),
        pace=maybe(TEXT),
        outcome=maybe(words(DIAGNOSIS_OUTCOMES)),
        reason=TEXT,
        report=maybe(TEXT),
        finished_at=maybe(TIME),
    ),
    "DiagnosisRequest": {
        "type": "object",
        "properties": {"host": TEXT, "agent": TEXT},
        "required": ["host", "agent"],
        "additionalProperties": False,
    },
    "RestartRequest": {
        "type": "object",
        "properties": {
            "host": TEXT,
            "agent": TEXT,
            "force": {
                **TRUTH,
                "default": False,
                "description": "Skip the busy and task checks, and nothing else.",
            },
        },
        "required": ["host", "agent"],
        "additionalProperties": False,
    },
    "Notification": {
        "type": "object",
        "description": "Alertmanager's webhook payload, version 4. Unknown fields are accepted.",
        "properties": {
            "version": {"const": "4"},
            "truncatedAlerts": {"type": "integer", "minimum": 0},
            "alerts": every(
                {
                    "type": "object",
                    "properties": {
                        "status": words(["firing", "resolved"]),
                        "labels": {"type": "object", "additionalProperties": TEXT},
                        "startsAt": TIME,
                        "fingerprint": {"type": "string", "pattern": "^[!-~]{0,128}$"},
                    },
                    "required": ["status", "labels", "startsAt"],
                }
            ),
        },
        "required": ["alerts"],
    },
}
