"""The W&B workspace of a study, made from code: everyone who looks at the study sees the same panels."""

from collections.abc import Iterator
from typing import Any

from ablations import record as records
from ablations import tables
from ablations.compose import CONF, compose_cells, to_plain
from ablations.config import SITES, RunConfig
from ablations.track.outcome import COSTS
from models.projections.choice import did_you_mean

Run = dict[str, Any]  # of a record: signature, config, sites, task, kind
TITLES = {
    "parameters": "Parameters",
    "projection_d2": "Weights of the Q, K and V maps (d²)",
    "flops_per_token": "FLOPs per token",
    "cache_numbers_per_token": "Numbers remembered per token",
}


def planned(study: str, results: str) -> list[Run]:
    """The runs of a study: those its file in conf/study/ asks for, else those on record.

    Raises ValueError where there is neither.
    """
    if (CONF / "study" / f"{study}.yaml").is_file():
        return [_planned(config) for _, config in compose_cells([f"study={study}"])]
    if study in records.studies(results):
        return records.load_all(results, study)
    known = sorted({file.stem for file in (CONF / "study").glob("*.yaml")} | set(records.studies(results)))
    raise ValueError(f"study={study!r} is neither in conf/study/ nor on record{did_you_mean(study, known)}")


def _planned(config: RunConfig) -> Run:
    plain = to_plain(config)
    return {
        "signature": records.signature(plain),
        "config": plain,
        "sites": records.site_names(plain),
        "task": plain["task"]["name"],
        "kind": plain["task"]["kind"],
    }


def workspace(study: str, runs: list[Run], entity: str, project: str) -> Any:
    """A wandb_workspaces Workspace, not saved yet, for the runs of a study in a W&B project.

    Runs that differ in their seed alone are one group: lines are means with the range over seeds, bars means with the
    standard deviation. Needs no network. Raises ValueError where wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.expr as expr
        import wandb_workspaces.workspaces as ws
    except ImportError:
        raise ValueError("wandb-workspaces is not installed: pip install -r requirements-dashboard.txt") from None

    columns = tables.headline_columns(runs)
    pinned = ["config:strategy", *(f"summary:{column.split}/{column.score}" for column in columns)]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"Study {study}",
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in {
                "Strategies": list(_comparison(columns)),
                "Single runs": list(_single()),
                "Sites": list(_sites(runs, columns)),
                "Cost against quality": list(_costs(columns)),
                "Translations and attention": list(_examples(runs)),
            }.items()
            if panels
        ],
        settings=ws.WorkspaceSettings(x_axis="step", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(expr.Metric("Group") == study),
            groupby=[expr.Config(key) for key in grouping(runs)],
            order=[expr.Ordering(expr.Config("strategy"), ascending=True)],
            pinned_columns=[*pinned, "summary:cost/parameters", "summary:cost/projection_d2"],
        ),
    )


def serialised(made: Any) -> dict[str, Any]:
    """What saving would send, as plain data. Of a name that is not public: wandb-workspaces stands at one version."""
    return made._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)


def grouping(runs: list[Run]) -> list[str]:
    """The keys of W&B's config that tell the rows of the study's table apart: the strategy and what else is swept."""
    fields = {field.split("=")[0] for setting in tables.settings(runs).values() for field in setting.rest}
    keys = ["task.name"] if len({run["task"] for run in runs}) > 1 else []
    keys.append("strategy")
    for field in sorted(fields):
        if field.split(".")[0] in runs[0]["config"]:
            keys.append(field)
        elif field.split(".")[0] in runs[0]["sites"]:
            keys.append(f"sites.{field}")
        else:  # the same at every site
            keys.append(f"sites.{next(iter(runs[0]['sites']))}.{field}")
    return keys


def _comparison(columns: list[tables.Column]) -> Iterator[Any]:
    import wandb_workspaces.reports.v2 as wr

    for metric, title in {"loss": "Training loss (nats)", "valid_nll": "Validation loss (nats)"}.items():
        yield wr.LinePlot(
            title=title, x="step", y=[metric], title_x="step", groupby_aggfunc="mean", groupby_rangefunc="minmax"
        )
    for column in columns:
        yield _bar(column, "Strategy", "config:strategy")


def _bar(column: tables.Column, of: str, key: str) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.BarPlot(
        title=f"{of}: {column.title}",
        metrics=[wr.SummaryMetric(f"{column.split}/{column.score}")],
        groupby=wr.Config(key.removeprefix("config:")),
        groupby_aggfunc="mean",
        groupby_rangefunc="stddev",
    )


def _single() -> Iterator[Any]:
    import wandb_workspaces.reports.v2 as wr

    for metric, title in {"valid_nll": "Validation loss, seed by seed", "grad_norm": "Gradient norm"}.items():
        yield wr.LinePlot(title=title, x="step", y=[metric], title_x="step", groupby_aggfunc="samples")
    yield wr.RunComparer(diff_only=True)


def _sites(runs: list[Run], columns: list[tables.Column]) -> Iterator[Any]:
    """What the choice at each site does to the scores, and what analyses see there."""
    import wandb_workspaces.reports.v2 as wr

    kinds = {run["kind"] for run in runs}
    for site in dict.fromkeys(site for kind in SITES for site in SITES[kind] if kind in kinds):
        for column in columns:
            if any(run["task"] == column.task and site in run["sites"] for run in runs):
                yield _bar(column, f"Choice at {site}", f"sites.{site}.name")
    for site in _layers(runs):
        measures = ("normalised_entropy",) if site.endswith(".cross") else ("normalised_entropy", "own_position")
        yield wr.LinePlot(
            title=f"Attention at {site}",
            x="observed/step",
            y=[f"observed/{site}/{measure}" for measure in measures],
            title_x="step",
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )


def _layers(runs: list[Run], part: str = "scores") -> list[str]:
    """The attention sites that an analysis looks at, layer by layer."""
    found = []
    for run in runs:
        if part in (run["config"].get("analysis") or {}).get("parts", []):
            model = run["config"]["model"]
            for site in run["sites"]:
                stack, name = ("decoder", "cross") if site == "cross" else (site, "self")
                found += [f"{stack}.{layer}.{name}" for layer in range(model[f"{stack}_layers"])]
    return list(dict.fromkeys(found))


def _costs(columns: list[tables.Column]) -> Iterator[Any]:
    import wandb_workspaces.reports.v2 as wr

    for column in columns:
        for cost in COSTS:
            if cost in TITLES:
                yield wr.ScatterPlot(
                    title=f"{TITLES[cost]} against {column.title}",
                    x=wr.SummaryMetric(f"cost/{cost}"),
                    y=wr.SummaryMetric(f"{column.split}/{column.score}"),
                )


def _examples(runs: list[Run]) -> Iterator[Any]:
    import wandb_workspaces.reports.v2 as wr

    if any(run["kind"] == "translation" for run in runs):
        yield wr.WeavePanelSummaryTable(table_name="samples")
    if maps := _layers(runs, "maps"):
        yield wr.MediaBrowser(title="Attention after training", media_keys=[f"attention/{site}" for site in maps])


def save(made: Any) -> str:
    """Save a workspace as a new view of its W&B project and give its address. Raises ValueError where that fails."""
    from ablations.track.wandb_run import first_line, require_key

    if not made.entity:
        raise ValueError("name the W&B user or team who owns the project, as in --entity my-team")
    try:
        require_key()
        return made.save().url
    except Exception as error:  # no key, no network, no such project
        raise ValueError(f"the workspace is not saved ({first_line(error)}); --json FILE needs no W&B") from None
