"""What a run is held equal to: the sizes at which it costs what the study's baseline strategy costs.

`match=` is a label. It is settled when a run is composed, and what stands in its configuration is sizes:

params  model.d_ff is the nearest whole number at which the model has as many parameters as with the baseline strategy
        at every site. What sharing takes away from attention the feed-forward layers get, all of them alike: a
        translator's encoder gets its share also of what cross-attention has saved.
flops   the same for the FLOPs of a forward pass per token; a translator reads as many source tokens as it writes. In a
        language model a dense matrix is used once for every token, so that equal parameters are equal FLOPs, but for
        biases. The two controls differ where weights are used more often or not in a product: a map that queries and
        keys share is used on both sides of cross-attention, one slice for every head, a per-role diagonal in no
        product; and narrow heads save in the product of query and key.
cache   the number of key and value heads, or the width of all heads, is changed until decoding remembers exactly as
        much of every token as with the baseline strategy: in a translator of every target token and of every source
        token. Parameters and FLOPs are then whatever they come to. A classifier remembers nothing.

The other settings, d_model and depth among them, are the run's own on both sides; the baseline strategy is what its
file says. A run that costs the same as it is stays as it is, and so does the baseline under every control.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from ablations.config import SITES, RunConfig, SiteChoice, check_model
from ablations.record.identity import strategy_name
from models.budget import CLOSE, Budget, budget
from models.config import ModelConfig, SitesConfig
from models.projections.config import ProjectionConfig
from models.projections.cost import cost
from models.projections.memory import heads_changed, with_other_heads

COSTS = {"params": ("parameters", "parameters beside the vocabulary"), "flops": ("flops_per_token", "FLOPs a token")}
REMEMBERING = ("decoder", "cross")  # sites that keep something of every token


def resolve(run: RunConfig, baseline: ProjectionConfig) -> str:
    """Gives the run the sizes that `run.match` asks for; what changed, as a sentence, or nothing where nothing did.

    Raises ValueError where there are no such sizes, and for a model or a baseline that cannot be built.
    """
    check_model(run)
    if run.match == "none":
        return ""
    everywhere = replace(run, projection=baseline, sites=SiteChoice(baseline, baseline, baseline))
    try:
        check_model(everywhere)
    except ValueError as error:
        raise ValueError(f"match={run.match} wants study.baseline={baseline.name}, and {error}") from None
    changed = _match_cache(run, everywhere) if run.match == "cache" else _match_width(run, everywhere)
    return f"{_name(run)}, match={run.match}: {changed}" if changed else ""


def _match_width(run: RunConfig, baseline: RunConfig) -> str:
    """Parameters or FLOPs, by the width of the feed-forward layers."""
    field, words = COSTS[run.match]

    def count(run: RunConfig, d_ff: int) -> int:
        return getattr(_budget(run, replace(run.model, d_ff=d_ff)), field)

    before = run.model.d_ff
    target, bottom = count(baseline, before), count(run, 0)
    step = count(run, 1) - bottom
    nearest = (2 * (target - bottom) + step) // (2 * step)
    named, theirs = baseline.projection.name, f"{baseline.projection.name} has {target:,} with model.d_ff={before}"
    if nearest < 1:
        raise ValueError(
            f"match={run.match}: {_name(run)} has {count(run, 1):,} {words} with model.d_ff=1 already, and {theirs}: "
            "set a larger model.d_ff"
        )
    if abs((found := count(run, nearest)) / target - 1) > CLOSE:
        raise ValueError(
            f"match={run.match}: the nearest that {_name(run)} comes is {found:,} {words} with model.d_ff={nearest}, "
            f"and {theirs}, more than {100 * CLOSE:g} % away: set a larger model.d_ff, or more layers"
        )
    run.model.d_ff = nearest
    equally = f"{found:,} {words} as {named}" if found == target else f"{found:,} {words}, {named} {target:,}"
    return f"d_ff {before} -> {nearest}, {equally}" if nearest != before else ""


def _match_cache(run: RunConfig, baseline: RunConfig) -> str:
    """Numbers remembered per token, by key and value heads where that is enough, else by the width of heads, too."""
    sites = [site for site in SITES[run.task.kind] if site in REMEMBERING]
    if not sites:
        raise ValueError("match=cache: a classifier remembers nothing while it reads: leave cache out")
    before = run.model.width_of_head
    wanted = {site: _width(getattr(baseline.sites, site), run.model) for site in sites}

    def chosen(head_dim: int, strategies: tuple[ProjectionConfig, ...]) -> RunConfig:
        model = run.model if head_dim == before else replace(run.model, head_dim=head_dim)
        return replace(run, model=model, sites=replace(run.sites, **dict(zip(sites, strategies, strict=True))))

    def changes(found: tuple[int, tuple[ProjectionConfig, ...]]) -> tuple[bool, int, int]:
        head_dim, strategies = found
        others = sum(getattr(run.sites, site) != own for site, own in zip(sites, strategies, strict=True))
        return head_dim != before, others, abs(head_dim - before)

    solutions = [
        (head_dim, strategies)
        for head_dim in sorted(_head_widths(run, wanted))
        for strategies in product(*(_fitting(run, site, head_dim, wanted[site]) for site in sites))
    ]
    for head_dim, strategies in sorted(solutions, key=changes):
        if _buildable(found := chosen(head_dim, strategies)):
            break
    else:
        raise ValueError(_no_such_cache(run, baseline, wanted))
    words = {site: heads_changed(getattr(run.sites, site), own) for site, own in zip(sites, strategies, strict=True)}
    run.model, run.sites = found.model, found.sites
    said = [f"head_dim {before} -> {head_dim}"] if head_dim != before else []
    if len(set(words.values())) == 1:
        said += filter(None, set(words.values()))
    else:
        said += [f"{changed} at sites.{site}" for site, changed in words.items() if changed]
    costs = _budget(run, run.model)
    source = f" and {costs.cache_numbers_per_source_token:,} a source token" if "cross" in sites else ""
    numbers = f"{costs.cache_numbers_per_token:,} numbers a token{source}"
    return f"{', '.join(said)}, {numbers} remembered as by {baseline.projection.name}" if said else ""


def _head_widths(run: RunConfig, wanted: dict[str, int]) -> set[int]:
    """Widths of heads at which some site may remember as much as is wanted: a memory grows linearly with them."""
    model = run.model
    found = {model.width_of_head}
    for site, width in wanted.items():
        for strategy in _variants(run, site):
            one, two = (_width(strategy, replace(model, head_dim=head_dim)) for head_dim in (1, 2))
            if two > one and (width - one) % (two - one) == 0 and width >= one:
                found.add(1 + (width - one) // (two - one))
    return found


def _fitting(run: RunConfig, site: str, head_dim: int, width: int) -> list[ProjectionConfig]:
    model = replace(run.model, head_dim=head_dim)
    return [strategy for strategy in _variants(run, site) if _width(strategy, model) == width]


def _variants(run: RunConfig, site: str) -> Iterator[ProjectionConfig]:
    model = run.model
    return with_other_heads(getattr(run.sites, site), model.d_model, model.heads, model.width_of_head)


def _no_such_cache(run: RunConfig, baseline: RunConfig, wanted: dict[str, int]) -> str:
    """Which caches the strategies can have, near those that are wanted."""
    refusal = "match=cache: no number of key and value heads and no width of heads makes caches equal"
    for site, width in wanted.items():
        own = getattr(run.sites, site)
        possible: set[int] = set()
        for strategy, head_dim in product(_variants(run, site), range(1, 4 * run.model.width_of_head + 1)):
            model = replace(run.model, head_dim=head_dim)
            if _buildable(replace(run, model=model, sites=replace(run.sites, **{site: strategy}))):
                possible.add(_width(strategy, model))
        if width not in possible:
            near = sorted(sorted(possible, key=lambda found: (abs(found - width), found))[:3])
            return (
                f"{refusal}: {own.name} at sites.{site} remembers {_width(own, run.model)} numbers of a token in each "
                f"layer and {baseline.projection.name} {width}, near which {' or '.join(map(str, near))} would be "
                "possible; leave cache out, or choose another study.baseline"
            )
    return (
        f"{refusal} at {' and '.join(f'sites.{site}' for site in wanted)} at once, and all have one width of heads: "
        "leave cache out, or give these sites strategies whose caches are as far from the baseline's"
    )


def _buildable(run: RunConfig) -> bool:
    try:
        check_model(run)
    except ValueError:
        return False
    return True


def _width(strategy: ProjectionConfig, model: ModelConfig) -> int:
    """Numbers that one layer remembers of a token."""
    return cost(strategy, model.d_model, model.heads, model.width_of_head, model.bias).memory_width


def _budget(run: RunConfig, model: ModelConfig) -> Budget:
    """Without a vocabulary and without classes: both sides have the same."""
    context = run.task.context
    sites = SitesConfig(run.sites.encoder, run.sites.decoder, run.sites.cross)
    return budget(model, sites, run.position, run.task.kind, 0, context, context)


def _name(run: RunConfig) -> str:
    """The strategy as tables call it."""
    return strategy_name({site: getattr(run.sites, site).name for site in SITES[run.task.kind]})
