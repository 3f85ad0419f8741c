import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from attnviz.views.image.png import png

SHAPES = st.tuples(st.integers(1, 13), st.integers(1, 11), st.just(3))


@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_another_program_reads_the_same_pixels(pixels: np.ndarray) -> None:
    image = Image.open(io.BytesIO(png(pixels, 150)))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", pixels.shape[1::-1])
    image.verify()  # the checksums
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels, 150)))), pixels)


@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)), st.integers(1, 99))
def test_the_bytes_do_not_depend_on_how_many_rows_are_packed_at_a_time(pixels: np.ndarray, band: int) -> None:
    whole = png(pixels, 150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnviz.views.image.png._BAND", band)
        assert png(pixels, 150) == whole


@pytest.mark.parametrize("dpi", [72, 97, 150, 1200])
def test_it_says_how_many_pixels_are_an_inch(dpi: int) -> None:
    image = Image.open(io.BytesIO(png(np.zeros((2, 3, 3), np.uint8), dpi)))
    assert image.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)


def test_large_even_areas_take_next_to_no_room() -> None:
    cells = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    assert len(png(cells.repeat(83, 0).repeat(79, 1), 150)) < 7 * 83 * 5 * 79 * 3 / 100
