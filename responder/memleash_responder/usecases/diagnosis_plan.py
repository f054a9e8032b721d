"""What the diagnoser is told for one diagnosis."""

from __future__ import annotations

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.diagnoser_program import Plan
from memleash_responder.core.diagnosis_settings import Diagnose

SLACK_SECONDS = 300.0
"""What a diagnosis may take beyond its rounds: then it keeps what it has."""
MAX_CPU_SECONDS = 300
"""What the diagnoser may take of the host's processors."""
MAX_REPORT_BYTES = 16 * 1024**2


def plan_of(diagnosis: Diagnosis, settings: Diagnose) -> Plan:
    """Return what the diagnoser is told for ``diagnosis``."""
    ((discover, target),) = settings.discover.given().items()
    rounds = settings.rounds if diagnosis.rounds is None else diagnosis.rounds
    interval_seconds = diagnosis.interval_seconds or settings.interval
    return Plan(
        run=diagnosis.id,
        agent=diagnosis.agent,
        discover=discover,
        target=target,
        profile=settings.profile,
        start_time=diagnosis.life,
        kinds=settings.growth,
        rounds=rounds,
        interval_seconds=interval_seconds,
        remote_exec=settings.remote_exec,
        native_stacks=settings.native_stacks,
        locals=settings.locals,
        signal=settings.signal,
        urls=settings.urls,
        command=settings.command,
        least_growth_bytes=settings.min_growth,
        max_rss_bytes=settings.max_rss,
        max_seconds=rounds * interval_seconds + SLACK_SECONDS,
        max_cpu_seconds=MAX_CPU_SECONDS,
        max_report_bytes=MAX_REPORT_BYTES,
        free_disk_bytes=settings.min_free_disk,
        marker_root=settings.busy_folder,
        work_root=settings.work_folder,
    )
