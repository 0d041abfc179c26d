"""The accuracy of the measured agent, counted from judgements."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import agent_accuracy as accuracy

HEAD = "image_file,attribute_key,polarity,verdict\n"


def judgements(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "judged.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def gray_picture(path: Path) -> None:
    ramp = np.linspace(110, 140, 300)[None, :, None] + np.zeros((200, 300, 3))
    Image.fromarray(ramp.astype(np.uint8)).save(path)


def test_counts_the_verdicts_on_what_is_proposed(tmp_path: Path) -> None:
    folder = tmp_path / "paintings"
    folder.mkdir()
    for name in ("one.png", "two.png", "three.png"):
        gray_picture(folder / name)
    judged = accuracy.read_judgements(
        [
            judgements(
                tmp_path,
                "one.png,wide-tonal-range,negative,appears",
                "two.png,wide-tonal-range,negative,does not appear",
                "three.png,wide-tonal-range,negative,cannot tell",
                "one.png,wide-tonal-range,positive,appears",
                "one.png,rich-impasto-texture,positive,appears",
            )
        ]
    )
    seen = [accuracy.look(path) for path in sorted(folder.iterdir())]
    kept, gone = accuracy.tallies(
        [each for each in seen if isinstance(each, accuracy.Seen)], judged
    )
    row = kept["wide-tonal-range", "negative"]
    assert (row.proposed, row.right, row.decided, row.precision) == (3, 1, 2, 0.5)
    assert "below 0.8" in accuracy.row(row)
    assert kept["wide-tonal-range", "positive"].proposed == 0
    assert gone["rich-impasto-texture", "positive"].verdicts.total() == 0
    assert ("rich-impasto-texture", "positive") not in kept


def test_a_file_that_is_no_picture_is_named_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "paintings"
    folder.mkdir()
    gray_picture(folder / "one.png")
    (folder / "notes.txt").write_text("no picture")
    judged = judgements(tmp_path, "one.png,wide-tonal-range,negative,appears")
    monkeypatch.setattr("sys.argv", ["agent_accuracy", str(judged), str(folder)])
    assert accuracy.main() == 0
    out, err = capsys.readouterr()
    assert "left out: notes.txt" in err
    assert "Light and Shadow" in out


@pytest.mark.parametrize(
    ("row", "says"),
    [("one.png,wide-tonal-range,negative,maybe", "line 2: the verdict 'maybe' is none of appears")],
)
def test_a_wrong_judgement_is_named(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(accuracy.WrongInput, match=says):
        accuracy.read_judgements([judgements(tmp_path, row)])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "judged.csv"
    path.write_text("image_file,verdict\n")
    with pytest.raises(accuracy.WrongInput, match="has no column attribute_key"):
        accuracy.read_judgements([path])


def test_wilson_intervals() -> None:
    low, high = accuracy.wilson(9, 10)
    assert low == pytest.approx(0.596, abs=1e-3)
    assert high == pytest.approx(0.982, abs=1e-3)
    assert accuracy.wilson(0, 0) == (0.0, 1.0)
