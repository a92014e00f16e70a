"""bench.timing: sides in turn, ratios and their bars."""

from bench.timing import Line, Times, in_turn, table


def test_calls_take_turns_after_one_untimed_call_of_each():
    called = []
    times = in_turn([lambda: called.append("a"), lambda: called.append("b")], rounds=2, repeated=[1, 2])
    assert "".join(called) == "ab" + "abb" * 2
    assert [len(found.seconds) for found in times] == [2, 4]


def test_a_line_is_kept_up_to_its_bar_and_no_further():
    ours, other = Times((0.5, 1.5, 1.5)), Times((2.0,))
    assert Line.of("a step", ours, "diffusers", other, 0.75).kept
    assert not Line.of("a step", ours, "diffusers", other, 0.74).kept


def test_the_table_says_of_every_line_whether_it_was_missed():
    lines = [Line.of("a step", Times((1.0,)), "diffusers", Times((2.0,)), most) for most in (0.75, 0.25)]
    rows = table(lines).splitlines()
    assert "diffusers, 2 s (2–2)" in rows[2]
    assert [row.rstrip(" |").rpartition(" ")[2] for row in rows[2:]] == ["ok", "missed"]
