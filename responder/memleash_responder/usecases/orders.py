"""What the collector is told for one diagnosis."""

from __future__ import annotations

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.diagnoser_program import Order
from memleash_responder.core.diagnoses import Diagnose


def order_of(diagnosis: Diagnosis, settings: Diagnose) -> Order:
    """Return what the collector is told for ``diagnosis``."""
    ((discover, target),) = settings.discover.given().items()
    rounds = settings.rounds if diagnosis.rounds is None else diagnosis.rounds
    interval_seconds = diagnosis.interval_seconds or settings.interval
    return Order(
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
        max_seconds=rounds * interval_seconds + settings.slack,
        max_cpu_seconds=int(settings.max_cpu),
        max_report_bytes=settings.max_report,
        free_disk_bytes=settings.min_free_disk,
        marker_root=settings.busy_folder,
        work_root=settings.work_folder,
    )
