"""A whole dashboard: its head (variables, links, annotations) and its rows of panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from grafana.parts import DATASOURCE, RUNBOOKS, Panel

TAG = "memleash"


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard: ``rows`` by their titles, in the order in which they are read."""

    uid: str
    title: str
    description: str
    variables: Sequence[Builder[models.VariableModel]]
    rows: Sequence[tuple[str, Sequence[Panel]]]
    annotations: Sequence[Builder[models.AnnotationQuery]] = ()

    def build(self) -> models.Dashboard:
        """Return the dashboard in Grafana's own form."""
        page = dashboard.Dashboard(self.title).uid(self.uid).description(self.description)
        page.tags([TAG]).readonly().timezone("browser").refresh("30s").time("now-3h", "now")
        page.tooltip(models.DashboardCursorSync.CROSSHAIR)
        page.variables(list(self.variables)).annotations(list(self.annotations))
        page.links([_other_pages(), _link("Runbooks", RUNBOOKS, "doc")])
        for title, panels in self.rows:
            page.with_row(dashboard.Row(title))
            for panel in panels:
                page.with_panel(panel)
        built = page.build()
        for number, panel_or_row in enumerate(built.panels or [], start=1):
            panel_or_row.id_val = number  # so that a link to one panel stays right
        return built


def _other_pages() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("memleash").type(models.DashboardLinkType.DASHBOARDS)
    return link.tags([TAG]).keep_time(True).include_vars(True).icon("external link")


def _link(title: str, url: str, icon: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK)
    return link.url(url).icon(icon).target_blank(True)


def choices(*, several: bool = True) -> list[Builder[models.VariableModel]]:
    """Return a page's variables: data source, jobs, hosts and the agents on them.

    ``several``: whether more than one host and agent can be chosen.
    """
    jobs = 'label_values({__name__=~"memleash_(exporter|responder)_build_info"}, job)'
    hosts = 'label_values(memleash_agent_up{job=~"$job"}, host)'
    agents = 'label_values(memleash_agent_up{job=~"$job", host=~"$host"}, agent)'
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("job", jobs, several=True),
        _choice("host", hosts, several=several),
        _choice("agent", agents, several=several),
    ]


def _choice(name: str, query: str, *, several: bool) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(name.capitalize()).query(query)
    variable.datasource(DATASOURCE).sort(models.VariableSort.ALPHABETICAL_ASC)
    variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(several)
    if several:
        variable.include_all(True).all_value(".+")
        variable.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return variable


class Mark(Builder[models.AnnotationQuery]):
    """Marks on every graph of the page, wherever ``expr`` has a value."""

    def __init__(self, name: str, expr: str, colour: str, title: str, text: str = "") -> None:
        self._query = _MarkQuery(
            name=name, datasource=DATASOURCE, enable=True, icon_color=colour, expr=expr
        )
        self._query.title_format, self._query.text_format = title, text

    def build(self) -> models.AnnotationQuery:
        return self._query


class _MarkQuery(models.AnnotationQuery):
    """An annotation with what Prometheus's data source reads beyond the common schema."""

    title_format = ""
    text_format = ""

    def to_json(self) -> dict[str, object]:
        own = {"titleFormat": self.title_format, "textFormat": self.text_format, "step": "15s"}
        return {**super().to_json(), **own}
