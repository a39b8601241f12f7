"""Your own photographs: what is taken, what is said of the rest, the desk, and the page that is exported."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from codec_toys import toy_codec
from PIL import Image
from views_toys import ByColour, Pyramid, hierarchy, picture

from hierlib.errors import DataError
from hierlib.images.pictures import save_picture
from hierlib.views.album import album, export
from hierlib.views.app import SERVED, AppError, command, prepare, serve
from hierlib.views.desk import VIEWS, Tools, photo_desk, stops, survival
from hierlib.views.photos import gather, stand_in, take_uploads


@pytest.fixture
def folder(tmp_path):
    """Three good pictures, one of them in a class's folder; two bad ones; a table with mistakes."""
    for name in ("a", "b"):
        save_picture(picture("red"), tmp_path / f"{name}.png")
    (tmp_path / "cyan").mkdir()
    save_picture(picture("cyan"), tmp_path / "cyan" / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "classes.csv").write_text("file,class\na.png,Red\nb.png,purple\ngone.png,blue\nbroken.jpg,\n")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def tools(codec=None) -> Tools:
    return Tools(codec or Pyramid(), hierarchy(), ByColour(), (Pyramid(),), size=64, rungs=8)


def test_good_pictures_are_taken_and_each_other_thing_is_a_sentence(folder) -> None:
    photos = gather(folder, hierarchy(), size=48)
    assert [(each.name, each.wnid) for each in photos.subjects] == [("a", "red"), ("b", None), ("a-2", "cyan")]
    assert all(tuple(each.image.shape) == (3, 48, 48) for each in photos.subjects)
    notes = " ".join(photos.notes)
    for said in ("broken.jpg is no picture", "cut.png", "'purple' is none of the 4 of colours", "gone.png has a class"):
        assert said in notes
    assert "'broken.jpg' has no class beside it" in notes
    assert "&#x27;purple&#x27;" in photos._repr_html_()
    assert len(gather(folder, hierarchy(), most=1).subjects) == 1
    assert "were left out: 1 are taken" in " ".join(gather(folder, hierarchy(), most=1).notes)


def test_folders_and_tables_that_are_none(tmp_path, folder) -> None:
    with pytest.raises(DataError, match="no folder"):
        gather(tmp_path / "nowhere", hierarchy())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture"):
        gather(tmp_path / "empty", hierarchy())
    assert "is not there, so no picture has a class" in gather(folder, hierarchy(), tmp_path / "no.csv").notes[0]
    (folder / "classes.csv").write_bytes(b"\xff\xfe\x00broken")
    assert "cannot be read as a UTF-8 table" in gather(folder, hierarchy()).notes[0]


def test_uploads_replace_what_was_there_and_cannot_climb_out(tmp_path) -> None:
    root = take_uploads(tmp_path / "up", {"old.png": b"x"})
    take_uploads(root, {"../../evil.png": b"1", "C:\\x\\photo.jpg": b"2", "mine.CSV": b"file,class\n"})
    assert sorted(path.name for path in root.iterdir()) == ["classes.csv", "evil.png", "photo.jpg"]
    assert not (tmp_path / "evil.png").exists()


def test_the_stand_in_has_something_to_complain_of(tmp_path) -> None:
    photos = gather(stand_in(tmp_path / "s"), hierarchy())
    assert len(photos.subjects) == 4
    assert any("broken.jpg" in note for note in photos.notes)


def test_the_desk_shows_all_views_and_goes_on_after_a_mistake(folder, tmp_path) -> None:
    box = photo_desk(tools(toy_codec()), tmp_path / "run", gather(folder, hierarchy(), size=64))
    assert box.pending.wait(60)
    above, below, status, tabs = box.children
    (path, load, _), (choice, write, _, link) = above.children, below.children
    assert tabs.titles == VIEWS
    for place, view in enumerate(VIEWS):
        tabs.selected_index = place
        assert box.pending.wait(60)
        assert "working" not in getattr(tabs.children[place].children[0], "value", ""), view
    assert "red" in tabs.children[VIEWS.index("When known")].children[0].value
    choice.value = "b"
    assert box.pending.wait(60)
    path.value = str(tmp_path / "nowhere")
    load.click()
    assert box.pending.wait(60)
    assert "is no folder" in status.value
    assert choice.value == "b"  # what lay on the desk is still there
    write.click()
    assert box.pending.wait(120)
    assert "download the page" in link.value
    assert (tmp_path / "run" / "06_photos.html").stat().st_size > 10_000
    path.value = str(folder)
    load.click()
    assert box.pending.wait(60)
    assert "purple" in status.value


def test_uploaded_pictures_land_on_the_desk(tmp_path) -> None:
    box = photo_desk(tools(), tmp_path)
    upload, choice, status = box.children[0].children[2], box.children[1].children[0], box.children[2]
    save_picture(picture("blue"), tmp_path / "sky.png")
    files = [
        ("sky.png", (tmp_path / "sky.png").read_bytes()),
        ("bad.jpg", b"?"),
        ("c.csv", b"file,class\nsky.png,blue\n"),
    ]
    upload.value = tuple(
        {
            "name": name,
            "type": "",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.now(),
        }
        for name, content in files
    )
    assert box.pending.wait(60)
    assert choice.value == "sky"
    assert "bad.jpg" in status.value


def test_the_page_is_whole_and_says_what_was_left_out(folder, tmp_path) -> None:
    photos = gather(folder, hierarchy(), size=64)
    ladders = [tools().ladder(subject) for subject in photos.subjects]
    panel = survival(ladders)
    path = export(tmp_path / "page.html", ladders, tools().duels(photos.subjects[:1]), panel, notes=photos.notes)
    page = path.read_text()
    assert "http" not in page
    assert "same-bytes" in page
    assert "is none of the 4 of colours" in page
    assert panel.html in page
    with pytest.raises(DataError, match="no picture to export"):
        album([])
    unknown = survival([ladder for ladder in ladders if not ladder.truth])
    assert "give them classes" in unknown.html


def test_where_a_receiver_stops_is_told_for_each_picture(folder) -> None:
    table = stops(tools(), [tools().ladder(subject) for subject in gather(folder, hierarchy(), size=64).subjects])
    assert list(table["picture"]) == ["a", "b", "a-2"]
    assert not table["stopped"].any()  # nobody measured the pyramid
    assert (table["bytes"] == table["of"]).all()
    assert list(table["truth"]) == ["red", "", "cyan"]


def test_the_app_serves_03_and_06_only_and_on_this_machine_only(tmp_path) -> None:
    import socket

    place = prepare(tmp_path / "app")
    assert sorted(path.stem for path in place.iterdir()) == sorted(SERVED)
    assert "--Voila.ip=127.0.0.1" in command(place, 8866, browser=True)
    with pytest.raises(DataError, match="checkout"):
        prepare(tmp_path / "app", tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(AppError, match="--port"):
            serve(taken.getsockname()[1], tmp_path / "app")


def test_any_mode_of_picture_is_taken(tmp_path) -> None:
    grey = Image.fromarray(np.arange(900, dtype=np.uint16).reshape(30, 30) * 60)
    grey.save(tmp_path / "sixteen.png")
    Image.new("RGBA", (5, 9), (255, 0, 0, 40)).save(tmp_path / "veil.png")
    Image.new("1", (9, 5)).save(tmp_path / "bits.gif")
    assert {each.name for each in gather(tmp_path, hierarchy()).subjects} == {"sixteen", "veil", "bits"}
