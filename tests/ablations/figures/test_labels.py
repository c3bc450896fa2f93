"""Names in legends: short, and never two settings of one name."""

import pytest

from ablations.figures.labels import short_labels
from ablations.tables import Setting


@pytest.mark.parametrize(
    ("rests", "expected"),
    [
        (
            [("position.base=off", "position.kind=none"), ("position.base=10000.0", "position.kind=sinusoidal")],
            ["a, position.kind=none", "a, position.kind=sinusoidal"],
        ),
        (
            [
                ("model.head_dim=64", "model.heads=2", "kv_heads=2"),
                ("model.head_dim=16", "model.heads=8", "kv_heads=8"),
            ],
            ["a, model.heads=2", "a, model.heads=8"],
        ),
        ([("model.d_ff=1", "optim.lr=1"), ("model.d_ff=1", "optim.lr=2"), ("model.d_ff=2", "optim.lr=1")], None),
        ([("rank=off",), ("rank=4",)], None),
        ([()], ["a"]),
    ],
)
def test_what_follows_from_another_field_is_left_out(rests, expected):
    settings = [Setting("a", rest) for rest in rests]
    found = short_labels(settings)
    assert [found[setting] for setting in settings] == (expected or [str(setting) for setting in settings])


def test_a_field_stays_where_it_tells_other_strategies_apart():
    """`b` has one setting, whose rate alone would name it; its size still is not that of every `a`."""
    settings = [Setting("a", (f"model.d_ff={size}", f"optim.lr={lr}")) for size in (1, 2) for lr in (1, 2)]
    settings.append(Setting("b", ("model.d_ff=2", "optim.lr=1")))
    assert short_labels(settings)[settings[-1]] == "b, model.d_ff=2, optim.lr=1"


def test_no_two_settings_share_a_name():
    settings = [Setting("a", (f"x.y={i}", f"x.z={i % 2}", "k=off")) for i in range(4)]
    settings += [Setting("a", ("x.y=0", "x.z=0", f"k={i}")) for i in range(2)]
    assert len(set(short_labels(settings).values())) == len(settings)
