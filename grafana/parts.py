"""Panels, variables and links in one style: what a dashboard is put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel = Builder[models.Panel]
AnyPanel = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel

RUNBOOKS = "https://github.com/memleash/memleash/blob/main/docs/alerts.md"
DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, AMBER, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"
FULL, HALF, THIRD, QUARTER, SIXTH = 24, 12, 8, 6, 4
"""Widths, of the grid's 24 columns."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query and the name of what comes of it."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What every panel says of itself."""

    title: str
    description: str
    unit: str = "short"
    width: int = HALF
    height: int = 8
    runbooks: Sequence[str] = ()
    """The alerts that come of what the panel shows; it links to what to do about each."""
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    """From which value on which colour."""
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What a value is shown as: its word and colour."""


def graph(about: About, *queries: Query, bars: bool = False) -> timeseries.Panel:
    """Return lines over time; stacked bars where each point counts what happened since the last."""
    panel = timeseries.Panel().legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    panel.tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    panel.show_points(common_models.VisibilityMode.NEVER).line_width(2).fill_opacity(5)
    if bars:
        panel.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80).line_width(1)
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    _say(panel, about)
    return panel.targets(_targets(queries)).min(0)


def number(about: About, query: Query) -> stat.Panel:
    """Return one figure: what it is now."""
    panel = stat.Panel().graph_mode(common_models.BigValueGraphMode.NONE)
    panel.color_mode(common_models.BigValueColorMode.VALUE)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    _say(panel, about)
    return panel.targets(_targets([query], instant=True))


def bars(about: About, query: Query) -> bargauge.Panel:
    """Return a bar for each series, as it is now."""
    panel = bargauge.Panel().display_mode(common_models.BarGaugeDisplayMode.GRADIENT)
    panel.orientation(common_models.VizOrientation.HORIZONTAL)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    _say(panel, about)
    return panel.targets(_targets([query], instant=True))


def timeline(about: About, *queries: Query) -> statetimeline.Panel:
    """Return a band for each series that changes its colour with its value."""
    panel = statetimeline.Panel().merge_values(True).line_width(0)
    panel.show_value(common_models.VisibilityMode.NEVER)
    _say(panel, about)
    return panel.targets(_targets(queries))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of figures in a table, and the query that fills it."""

    title: str
    expr: str
    unit: str
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    steps: Sequence[tuple[float | None, str]] = ()


def rows(about: About, columns: Sequence[Column], *, sort_by: str) -> table.Panel:
    """Return a table: a row for each set of labels, with what every column's query says of it."""
    panel = table.Panel()
    _say(panel, about)
    queries = [Query(column.expr) for column in columns]
    panel.targets(_targets(queries, instant=True, output=PromQueryFormat.TABLE))
    values = (
        ["Value"] if len(columns) == 1 else [f"Value #{chr(65 + n)}" for n in range(len(columns))]
    )
    renamed = {value: column.title for value, column in zip(values, columns, strict=True)}
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": renamed},
        )
    )
    for column in columns:
        panel.override_by_name(column.title, _cell(column))
    for label in ("host", "agent"):
        panel.override_by_name(label, [models.DynamicConfigValue("links", [_agent_page()])])
    by = common.TableSortByFieldState().display_name(sort_by).desc(True)
    return panel.sort_by([by])


def _cell(column: Column) -> list[models.DynamicConfigValue]:
    properties = [models.DynamicConfigValue("unit", column.unit)]
    if column.words:
        properties.append(shown_as(column.words))
    if column.steps:
        properties.append(
            models.DynamicConfigValue("thresholds", _thresholds(column.steps).build())
        )
    if column.words or column.steps:
        colour = {"type": "color-text"}
        properties.append(models.DynamicConfigValue("custom.cellOptions", colour))
    return properties


def _agent_page() -> dict[str, Any]:
    return {
        "title": "${__data.fields.agent} on ${__data.fields.host}",
        "url": "/d/memleash-agent?var-datasource=${datasource}&var-host=${__data.fields.host}"
        "&var-agent=${__data.fields.agent}&${__url_time_range}",
    }


def line(colour: str, *, dashed: bool = True) -> list[models.DynamicConfigValue]:
    """Return how a limit is drawn among what it limits."""
    style = {"fill": "dash", "dash": [10, 10]} if dashed else {"fill": "solid"}
    return [
        models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
        models.DynamicConfigValue("custom.lineStyle", style),
        models.DynamicConfigValue("custom.fillOpacity", 0),
    ]


def shown_as(words: Mapping[str, tuple[str, str]]) -> models.DynamicConfigValue:
    """Return the override by which one series shows its values as ``words``."""
    return models.DynamicConfigValue("mappings", [_mapping(words)])


def _say(panel: AnyPanel, about: About) -> None:
    """Put on the panel what every panel has."""
    panel.title(about.title).description(about.description).unit(about.unit)
    panel.datasource(DATASOURCE).span(about.width).height(about.height)
    panel.thresholds(_thresholds(about.steps))
    if about.words:
        panel.mappings([_mapping(about.words)])
    panel.links([runbook(alert) for alert in about.runbooks])


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value, colour) for value, colour in steps])
    )


def _mapping(words: Mapping[str, tuple[str, str]]) -> models.ValueMap:
    return models.ValueMap(
        {
            value: models.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(words.items())
        }
    )


def _targets(
    queries: Sequence[Query],
    *,
    instant: bool = False,
    output: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> list[Builder[Any]]:
    targets: list[Builder[Any]] = []
    for number_, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).format(output)
        target.legend_format(query.legend).ref_id(chr(65 + number_)).datasource(DATASOURCE)
        targets.append(target.instant() if instant else target.range())
    return targets


def runbook(alert: str) -> dashboard.DashboardLink:
    """Return the link to what to do when ``alert`` fires."""
    link = dashboard.DashboardLink(f"Runbook: {alert}").type(models.DashboardLinkType.LINK)
    return link.url(f"{RUNBOOKS}#{alert.lower()}").target_blank(True)
