from __future__ import annotations

import pytest

from genret_core.errors import BadInput
from genret_core.workbench.explorer.state import State

START = State(focus="a", shown=("a", "b"))
RICH = State(
    focus="b",
    shown=("a", "b"),
    law="power",
    objective="huber",
    delta=3.3e-7,
    sd=None,
    excluded=((12, 'broke: "early" # yes\nsecond line'), (3, "")),
    bootstrap=200,
    axes="log_log",
    floor=0.1 + 0.2,
    band="curves",
    ahead=1.7,
    overlay="table1:t5",
    hold_out=2,
    clip=False,
    rho=True,
    chance=False,
    level=0.6827,
    tab="laws",
    curve=(("gamma", 1.2345678901234567e-300), ("alpha", 0.1)),
)


@pytest.mark.parametrize("state", [START, RICH])
def test_yaml_gives_the_same_state(state):
    assert State.from_yaml(state.to_yaml()) == state


def test_exclusions_are_in_order_and_one_per_row():
    state = START.but(excluded=[(9, "x"), 2, (9, "y")])
    assert state.excluded == ((2, ""), (9, "y"))
    assert hash(state) == hash(START.but(excluded=((2, ""), (9, "y"))))


def test_focus_and_shown_follow_each_other():
    assert START.but(focus="c").shown == ("a", "b", "c")
    assert START.but(shown=("b",)).focus == "b"
    with pytest.raises(BadInput, match="in focus but not shown"):
        START.but(focus="c", shown=("a",))


def test_a_picked_curve_goes_with_its_law():
    picked = START.but(curve={"gamma": 1, "alpha": 2, "lambda_P": 3})
    assert picked.but(level=0.9).curve == picked.curve
    assert picked.but(law="power").curve is None
    assert picked.but(focus="b").curve is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"law": "model_sise"}, "did you mean model_size"),
        ({"objectiv": "ols"}, "did you mean objective"),
        ({"objective": "l2"}, "choose ols"),
        ({"sd": -1}, "positive"),
        ({"sd": float("nan")}, "finite"),
        ({"sd": "much"}, "finite"),
        ({"level": 1}, "between 0 and 1"),
        ({"ahead": 40}, "decades"),
        ({"hold_out": 1.5}, "whole number"),
        ({"bootstrap": 10**6}, "20,000"),
        ({"excluded": [(0, "")]}, "counted from 1"),
        ({"shown": ()}, "at least one"),
        ({"shown": ("a", "a")}, "twice"),
        ({"overlay": "table9"}, "no published law"),
        ({"clip": "yes"}, "true or false"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(changes, told):
    with pytest.raises(BadInput, match=told) as refused:
        START.but(**changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "focus: [", "focus: a", "focus: a\nshown: [a]\nhack: 1", "!!python/object:os.system {}"],
)
def test_other_yaml_is_refused(text):
    with pytest.raises(BadInput):
        State.from_yaml(text)
