"""The slow link and the socket: what arrives when, what the receiver makes of it, and that it hangs up when it may."""

from __future__ import annotations

import socket
import threading
from itertools import pairwise

import pytest
import torch
from codec_toys import toy_codec
from views_toys import ByColour, Pyramid, hierarchy, picture

from hierlib.__main__ import main
from hierlib.errors import BudgetError
from hierlib.evaluation.confidence import Confidence, Curve
from hierlib.evaluation.stopping import StopRule
from hierlib.images.pictures import demonstration, load_picture, save_picture
from hierlib.images.shapes import shapes
from hierlib.views.link import Link, link_figure, receive, stop_box, summary
from hierlib.views.wire import LinkError, listen, send

ASIS = Curve((0.0, 1.0, 0.0), (1e-3, 100.0))  # a calibration that changes nothing


def rule(threshold: float, level: str = "family") -> StopRule:
    confidence = Confidence(("family", "colour"), (ASIS, ASIS), 1, 64**2, "nothing")
    looks = tuple(8 * n / 64**2 for n in (5, 17, 257, 1025))
    return StopRule(level, 0.1, threshold, looks, confidence, 1, 1.0, 0.0, (0.0, 1.0), 1.0, 2.0, 1.0, 1.0)


def test_a_link_keeps_to_its_bandwidth_and_an_outage_delays_what_follows() -> None:
    stream = bytes(range(200)) * 2
    plain = list(Link(100, 50).packets(stream))
    assert b"".join(piece for _, piece in plain) == stream
    assert [time for time, _ in plain] == pytest.approx([0.5 * k for k in range(1, 9)])
    cut = list(Link(100, 50, ((1.2, 3.2),)).packets(stream))
    assert [time for time, _ in cut][:2] == pytest.approx([0.5, 1.0])
    assert cut[-1][0] == pytest.approx(plain[-1][0] + 2.0, abs=0.21)
    assert not [time for time, _ in cut if 1.2 < time < 3.2]
    assert Link.drawn(seed=3) == Link.drawn(seed=3)
    assert all(a < b for a, b in Link.drawn(seed=3, outages=4).outages_s)


@pytest.mark.parametrize("wrong", [{"bytes_per_s": 0}, {"packet_bytes": 0}, {"outages_s": ((2, 1),)}])
def test_a_link_that_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(BudgetError, match="bandwidth above 0"):
        Link(**wrong)


def test_without_a_rule_everything_is_heard_and_the_last_look_is_the_file() -> None:
    codec = toy_codec()
    stream = codec.encode(shapes(1)[0])
    looks = list(receive(codec, Link(400, 64).packets(stream), hierarchy(), ByColour()))
    assert [look.bytes for look in looks] == [*range(64, len(stream), 64), len(stream)]
    assert torch.equal(looks[-1].decoded.image, codec.decode(stream).image)
    assert not any(look.enough for look in looks)
    assert all(a.time_s < b.time_s for a, b in pairwise(looks))


def test_the_receiver_looks_where_the_rule_looks_and_stops_where_it_is_sure() -> None:
    stream = Pyramid().encode(picture("red"))
    packets = list(Link(400, 10).packets(stream))
    patient = list(receive(Pyramid(), packets, hierarchy(), ByColour(), rule(2.0)))
    assert [look.bytes for look in patient] == [10, 20, 260, 1030, len(stream)]
    sure = [look.crumbs[0].probability for look in patient]
    assert sure[0] > 0.5
    stopped = list(receive(Pyramid(), packets, hierarchy(), ByColour(), rule(0.5), wnid="red"))
    assert stopped[-1].enough
    assert len(stopped) == 1
    assert stopped[0].crumbs[0].right is True
    never = list(receive(Pyramid(), packets, hierarchy(), ByColour(), rule(max(sure) + 0.01), size_bytes=len(stream)))
    assert not never[-1].enough
    assert never[-1].bytes == len(stream)
    told = summary(stopped, len(stream), packets[-1][0])
    assert told["saved"].iloc[0] == "100%"
    assert link_figure(patient, Link(400, 10, ((0.1, 0.2),)), len(stream), rule(0.9)).axes


def test_the_stop_box_shows_the_sign() -> None:
    stream = Pyramid().encode(picture("red"))
    box = stop_box(Pyramid(), stream, hierarchy(), ByColour(), rule(0.5), Link(400, 10), speed=0)
    box.children[1].children[0].click()
    assert box.pending.wait(20)
    assert "enough" in box.children[2].children[1].value
    assert box.children[1].children[3].value == 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_stream_goes_over_a_real_socket_whole() -> None:
    port, stream, sent = free_port(), bytes(range(256)) * 20, []
    sender = threading.Thread(target=lambda: sent.append(send(stream, port, patience_s=10)))
    sender.start()
    came = b"".join(piece for _, piece in listen(port, patience_s=10))
    sender.join(10)
    assert came == stream
    assert sent == [len(stream)]


def test_hanging_up_stops_the_sender() -> None:
    port, stream, sent = free_port(), bytes(100_000), []
    sender = threading.Thread(target=lambda: sent.append(send(stream, port, bytes_per_s=20_000, patience_s=10)))
    sender.start()
    pieces = listen(port, patience_s=10)
    came = sum(len(next(pieces)[1]) for _ in range(10))
    pieces.close()
    sender.join(20)
    assert not sender.is_alive()
    assert came <= sent[0] < len(stream) // 4


def test_nobody_at_the_other_end_is_a_sentence() -> None:
    port = free_port()
    with pytest.raises(LinkError, match="receive --port"):
        send(b"x", port, patience_s=0.2)
    with pytest.raises(LinkError, match="Nobody sent"):
        list(listen(port, patience_s=0.2))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(LinkError, match="name another"):
            list(listen(taken.getsockname()[1], patience_s=0.2))


def test_send_and_receive_from_the_shell(tmp_path, capsys) -> None:
    save_picture(demonstration(64, ("coffee",))["coffee"], tmp_path / "photo.png")
    port = free_port()
    sender = threading.Thread(target=lambda: main(["send", str(tmp_path / "photo.png"), "--port", str(port)]))
    sender.start()
    assert main(["receive", "--port", str(port), "-o", str(tmp_path / "came.png")]) == 0
    sender.join(30)
    said = capsys.readouterr().out
    assert "bytes sent" in said
    assert "listening at" in said
    assert load_picture(tmp_path / "came.png").shape == (3, 64, 64)
    assert main(["receive", "--port", str(port), "--stop-at", "nothing"]) == 2
    assert main(["receive", "--port", str(port), "--stop-at", "coarse", "--error", "7"]) == 2
    assert "no error rate" in capsys.readouterr().err
