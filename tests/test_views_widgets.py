import io
import re
import threading

import numpy as np
import pytest
from codec_toys import toy_codec
from PIL import Image
from views_toys import ByColour, Pyramid, hierarchy, picture

from hierlib.errors import BudgetError
from hierlib.images.pictures import to_uint8
from hierlib.images.shapes import shapes
from hierlib.views.captions import arrived_html, breadcrumb_html, strip_html
from hierlib.views.crumbs import Crumb
from hierlib.views.ladder import climb
from hierlib.views.latest import LatestWins
from hierlib.views.widgets import contact_sheet, decode_slider, duel_slider, live_box


@pytest.fixture(scope="module")
def ladder():
    return climb(Pyramid(), picture("red"), hierarchy(), ByColour(), wnid="red", rungs=12)


def of_kind(widget, kind):
    """All widgets of a class inside ``widget``, in order."""
    inside = [found for child in getattr(widget, "children", ()) for found in of_kind(child, kind)]
    return [widget, *inside] if type(widget).__name__ == kind else inside


def test_the_slider_steps_through_every_rung_and_is_linked_on_the_page(ladder):
    box = decode_slider(ladder)
    (slider,), (pages,), (play,) = (of_kind(box, kind) for kind in ("SelectionSlider", "Tab", "Play"))
    assert [label for label, _ in slider.options] == [f"{budget:,} B" for budget in ladder.budgets]
    assert len(pages.children) == len(ladder.rungs)
    ends = {((link.source[0], link.source[1]), (link.target[0], link.target[1])) for link in box.links}
    assert ends == {((slider, "index"), (pages, "selected_index")), ((play, "value"), (slider, "index"))}
    assert "hier-ui" in box._dom_classes


def test_each_frame_is_the_rungs_picture_with_its_bytes_and_names(ladder):
    frames = of_kind(decode_slider(ladder), "Tab")[0].children
    for frame, rung in zip(frames, ladder.rungs):
        (image,), (text,) = of_kind(frame, "Image"), of_kind(frame, "HTML")
        shown = np.asarray(Image.open(io.BytesIO(image.value)))
        assert np.array_equal(shown, to_uint8(rung.decoded.image))
        assert "hier-img" in image._dom_classes
        assert f'<b style="font-size:1.5em">{rung.bytes:,}</b>' in text.value
        assert all(crumb.name in text.value for crumb in rung.crumbs)


def test_breadcrumbs_escape_names_and_tick_only_what_is_known():
    crumbs = [Crumb("coarse", "a <b>", 0.5, True), Crumb("fine", "c", 0.25, False), Crumb("finest", "d", 1.0, None)]
    text = breadcrumb_html(crumbs)
    assert "a &lt;b&gt;</b> ✓" in text
    assert "c</b> ✗" in text
    assert "d</b><" in text
    assert "width:25%" in text


def test_a_calibrated_confidence_is_what_is_shown_and_the_raw_one_is_told():
    (crumb,) = [Crumb("coarse", "dog", 0.9, True, calibrated=0.6)]
    text = breadcrumb_html([crumb])
    assert "width:60%" in text
    assert "the classifier says 90%" in text


def test_the_strip_is_filled_as_far_as_the_bytes_reach(ladder):
    full = [re.findall(r"([\d.]+)%,", strip_html(ladder, rung)) for rung in ladder.rungs]
    assert full[0] == ["0.0"] * 3
    assert full[-1] == ["100.0"] * 3
    middle = strip_html(ladder, ladder.at(ladder.ends[1]))
    assert "block 2 240 B" in middle
    assert arrived_html(ladder.rungs[-1]) == ""  # the pyramid's receiver does not tell


def test_the_duel_moves_every_pane_and_each_has_its_verdict(ladder):
    other = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), wnid="blue", budgets=ladder.budgets)
    box = duel_slider([ladder, other])
    (stack,) = of_kind(box, "Tab")
    assert len(stack.children) == len(ladder.budgets)
    verdicts = [text.value for text in of_kind(stack.children[-1], "HTML")]
    assert "red</b> ✓" in verdicts[0]
    assert "red</b> ✗" in verdicts[1]
    with pytest.raises(BudgetError, match="same"):
        duel_slider([ladder, climb(Pyramid(), picture("red"), hierarchy(), ByColour(), budgets=[1, 2])])


def test_a_viewer_without_widgets_gets_pictures_and_a_sentence(ladder):
    bundle = decode_slider(ladder)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "shows no widgets" in bundle["text/html"]
    assert bundle["text/html"].count("data:image/png;base64,") == 6
    assert "<script" not in bundle["text/html"]


def test_the_exact_box_shows_exactly_that_prefix(ladder):
    box = live_box(Pyramid(), ladder.stream, hierarchy(), ByColour(), wnid="red", start=0)
    (number,), (image,), (_, text) = (of_kind(box, kind) for kind in ("BoundedIntText", "Image", "HTML"))
    assert box.pending.wait(20)
    assert "<b>0</b> of 4,097" in text.value
    number.value = 300
    assert box.pending.wait(20)
    shown = np.asarray(Image.open(io.BytesIO(image.value)))
    assert np.array_equal(shown, to_uint8(Pyramid().decode(ladder.stream[:300]).image))
    assert "<b>300</b> of 4,097 bytes, 257 in use" in text.value
    assert "red</b> ✓" in text.value
    assert number.max == len(ladder.stream)


def test_a_receiver_gives_the_picture_that_the_prefix_alone_decodes_to():
    codec = toy_codec()
    stream = codec.encode(shapes(1)[0])
    for content in (stream, stream[:-3] + b"xyz"):  # whole, and with a trailer that does not match
        box = live_box(codec, content, hierarchy(), ByColour(), start=0)
        (number,), (image,) = of_kind(box, "BoundedIntText"), of_kind(box, "Image")
        for n in (3, 40, len(stream) // 2):
            number.value = n
            assert box.pending.wait(20)
            shown = np.asarray(Image.open(io.BytesIO(image.value)))
            assert np.array_equal(shown, to_uint8(codec.decode(stream[:n]).image))


def test_a_cut_that_does_not_decode_says_so_and_the_next_one_works(ladder):
    damaged = b"\0" + ladder.stream[1:]
    box = live_box(Pyramid(), damaged, hierarchy(), ByColour(), start=100)
    (number,), (_, text) = of_kind(box, "BoundedIntText"), of_kind(box, "HTML")
    assert box.pending.wait(20)
    assert "did not decode" in text.value
    assert "BitstreamError: A picture of no size" in text.value
    number.value = 1
    assert box.pending.wait(20)
    assert "<b>1</b> of 4,097" in text.value


def test_values_overtaken_while_work_is_done_are_dropped_and_the_last_is_served():
    begun, go = threading.Event(), threading.Event()
    served, errors = [], []

    def work(value):
        begun.set()
        assert go.wait(20)
        served.append(value)
        if value == 0:
            raise ValueError("zero")

    latest = LatestWins(work, errors.append)
    latest.submit(0)
    assert begun.wait(20)
    for value in range(1, 50):
        latest.submit(value)
    assert not latest.wait(0.01)
    go.set()
    assert latest.wait(20)
    assert served == [0, 49]
    assert [str(error) for error in errors] == ["zero"]


def test_the_contact_sheet_shows_the_first_and_the_last_rung(ladder):
    figure = contact_sheet(ladder, 6)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert len(titles) == 6
    assert titles[0].startswith("0 B")
    assert titles[-1].startswith("4,097 B")
    words = [text.get_text() for text in figure.axes[-1].texts]
    assert words[1].startswith("red ")
    assert words[1].endswith("✓")
