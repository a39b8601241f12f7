import io

import pytest

from hierlib.views.relay import Relay


class Terminal(io.StringIO):
    def isatty(self):
        return True


def bar(relay, drawings):
    """As tqdm writes it: a carriage return before each drawing, a line end after the last."""
    for drawing in drawings:
        relay.write(f"\r{drawing}")
        relay.flush()
    relay.write("\n")


def test_lines_pass_through_indented_even_in_pieces():
    out = io.StringIO()
    relay = Relay(out)
    for piece in ("one\ntw", "o\n", "\n", "three"):
        relay.write(piece)
    relay.write("!\n")
    assert out.getvalue() == "    one\n    two\n    three!\n"


def test_a_log_gets_only_the_last_drawing_of_a_quick_bar():
    out = io.StringIO()
    bar(Relay(out), ["0 %", "50 %", "100 %"])
    assert out.getvalue() == "    100 %\n"


def test_a_log_gets_a_line_every_so_often_of_a_slow_bar():
    out = io.StringIO()
    bar(Relay(out, every_s=-1), ["0 %", "50 %", "100 %"])
    assert [line.strip() for line in out.getvalue().splitlines()][:3] == ["0 %", "50 %", "100 %"]


@pytest.mark.parametrize("drawings", [["0 %", "50 %", "100 %"]])
def test_a_terminal_gets_every_drawing_in_place(drawings):
    out = Terminal()
    bar(Relay(out), drawings)
    assert out.getvalue().count("\n") == 1
    for drawing in drawings:
        assert f"{drawing}\r" in out.getvalue()
