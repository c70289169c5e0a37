"""Bar codes as modules and as vector pictures. A module is whole dots of a 203 dpi printer: no bar is blurred."""

from __future__ import annotations

import numpy as np
import zxingcpp
from numpy.typing import NDArray

from rookery.waybill.rules.numbers import digital_link

DOT_MM = 0.125
"""One dot of a printer of 8 dots a millimetre, called 203 dpi."""

Modules = NDArray[np.bool_]


def sscc_bars(sscc: str) -> Modules:
    """GS1-128 of an SSCC with its identifier (00): one row of 156 modules, True = black, without quiet zones."""
    return _modules(zxingcpp.create_barcode(f"(00){sscc}", zxingcpp.BarcodeFormat.Code128, gs1=True))[:1]


def code_128_bars(text: str) -> Modules:
    """Code 128 of a text of ASCII: one row, True = black, without quiet zones."""
    return _modules(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.Code128))[:1]


def link_square(sscc: str, link: str) -> Modules:
    """QR code (error correction M) of an SSCC's GS1 Digital Link: a square, True = black, without quiet zone."""
    return _modules(zxingcpp.create_barcode(digital_link(sscc, link), zxingcpp.BarcodeFormat.QRCode, ec_level="M"))


def picture(modules: Modules) -> str:
    """Modules as an SVG in which one module is one unit; it is stretched to size where it is placed."""
    height, width = modules.shape
    edge = np.diff(np.pad(modules.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, begins = np.nonzero(edge == 1)
    lengths = np.nonzero(edge == -1)[1] - begins
    path = "".join(
        [f"M{x} {y}h{n}v1h-{n}" for y, x, n in zip(rows.tolist(), begins.tolist(), lengths.tolist(), strict=True)]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none"><path d="{path}"/></svg>'
    )


def _modules(code: zxingcpp.Barcode) -> Modules:
    return np.array(code.to_image(scale=1, add_quiet_zones=False)) == 0
