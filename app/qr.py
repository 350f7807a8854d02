"""QR codes, drawn so that an app or a page can set them into itself."""

import re
from typing import Final

from zxingcpp import (
    BarcodeFormat,
    create_barcode,  # pyright: ignore[reportUnknownVariableType]  # its options have no types
    write_barcode_to_svg,
)

_DRAWN: Final = re.compile(r'<svg width="(\d+)" .*<path d="([^"]+)"', re.DOTALL)


def qr_svg(text: str) -> str:
    """Draw a text as an SVG of any size: dark on white, with the margin that readers need.

    Level M: a phone's cracked glass or a scratched door may hide a seventh of it (ISO/IEC 18004).
    """
    code = create_barcode(text, BarcodeFormat.QRCode, ec_level="M")
    # As the library writes it, it has one size and a document type, which no page can set in.
    drawn = _DRAWN.search(write_barcode_to_svg(code))
    assert drawn is not None, "the library draws all modules as one path"
    size, path = drawn.groups()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">'
        f'<path fill="#fff" d="M0 0h{size}v{size}H0Z"/><path d="{path}"/></svg>'
    )
