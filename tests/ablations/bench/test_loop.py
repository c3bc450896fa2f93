import pytest

from ablations.bench.loop import Loop


def counting(made, last=10**9):
    def body(between):
        for step in range(last):
            made.append(step)
            if between():
                made.append("left")
                return

    return body


def test_a_loop_makes_the_steps_it_is_given_and_stands_still_behind_them():
    made = []
    loop = Loop(counting(made))
    assert made == []
    loop.steps(2)
    assert made == [0, 1]
    loop.steps(1)
    assert made == [0, 1, 2]
    loop.close()
    assert made == [0, 1, 2, "left"]


def test_two_loops_take_turns():
    made = []
    first, second = Loop(counting(made)), Loop(counting(made))
    first.steps(1), second.steps(1), first.steps(1)
    assert made == [0, 0, 1]
    first.close(), second.close()


def test_what_goes_wrong_in_a_loop_is_raised_where_it_is_timed():
    def body(between):
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        Loop(body).steps(1)


def test_a_loop_that_ends_too_soon_is_refused():
    with pytest.raises(ValueError, match="come to its end"):
        Loop(counting([], last=2)).steps(3)


def test_a_loop_that_never_ran_can_be_closed():
    made = []
    Loop(counting(made)).close()
    assert made == []
