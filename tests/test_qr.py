"""QR codes: what is drawn is read again by what reads QR codes."""

import re

import pytest
from zxingcpp import read_barcodes

from app.qr import qr_svg

_SCALE = 4


def _seen(svg: str) -> list[tuple[str, ...]]:
    """Paint the drawing as a phone would; give text, kind and level of what reads off it."""
    box = re.search(r'viewBox="0 0 (\d+) \1"', svg)
    assert box is not None
    side = int(box[1]) * _SCALE
    white, dark = re.findall(r'<path (?:fill="#fff" )?d="([^"]+)"/>', svg)
    assert white == f"M0 0h{box[1]}v{box[1]}H0Z"
    image = bytearray(b"\xff") * (side * side)
    for module in dark.split("Z")[:-1]:
        found = re.fullmatch(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)", module)
        assert found is not None, module
        x, y, width, height, back = (int(number) * _SCALE for number in found.groups())
        assert back == width
        for row in range(y, y + height):
            image[row * side + x : row * side + x + width] = bytes(width)
    read = read_barcodes(memoryview(image).cast("B", (side, side)))
    return [(code.text, str(code.format), code.ec_level) for code in read]


@pytest.mark.parametrize(
    "text",
    [
        "0123456789ABCDEF",
        "https://anxin.example/stores/sto_01h455vb4pex5vsknk084sn02q",
        "安心 <&>\"'",
    ],
)
def test_what_is_drawn_is_read_again_with_room_for_scratches(text: str) -> None:
    svg = qr_svg(text)
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" viewBox=')
    assert _seen(svg) == [(text, "QR Code", "M")]
