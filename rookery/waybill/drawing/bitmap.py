"""Pages of a PDF as the black and white dots of a 203 dpi printer, and those as PNG and ZPL."""

from __future__ import annotations

import base64
import binascii
import ctypes
import io
import struct
import threading
import zlib
from collections.abc import Iterator

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray
from pypdfium2 import PdfDocument

from rookery.waybill.drawing.barcodes import DOT_MM, Modules

DOTS_A_METRE = 8000
_ONE_AT_A_TIME = threading.Lock()
"""PDFium is not made for several threads."""


def bitmaps(pdf: bytes, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Each page as rows of packed bits (height, width / 8), 1 = black; sizes in dots, width a multiple of 8."""
    with _ONE_AT_A_TIME:
        document = PdfDocument(pdf)
        try:
            for page in document:
                grey = np.empty((height, width), np.uint8)
                grey.fill(255)
                at = grey.ctypes.data_as(ctypes.c_void_p)
                bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_Gray, at, width)
                flags = pdfium.FPDF_GRAYSCALE | pdfium.FPDF_PRINTING
                pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, flags)
                pdfium.FPDFBitmap_Destroy(bitmap)
                page.close()
                yield np.packbits(grey < 128, axis=1)
        finally:
            document.close()


def stamp(bits: NDArray[np.uint8], code: tuple[float, float, float, float, Modules]) -> None:
    """A code drawn into a page's dots, each module a whole number of them; place and size in millimetres."""
    x, y, width, height = (round(side / DOT_MM) for side in code[:4])
    modules = code[4]
    columns = np.zeros((len(modules), -(-(x % 8 + width) // 8) * 8), np.bool_)
    columns[:, x % 8 : x % 8 + width] = modules.repeat(width // modules.shape[1], axis=1)
    dots = np.packbits(columns, axis=1)
    bits[y : y + height, x // 8 : x // 8 + dots.shape[1]] |= dots.repeat(height // len(modules), axis=0)


def merged(pdfs: list[bytes]) -> bytes:
    """Several PDFs as one, page after page."""
    if len(pdfs) == 1:
        return pdfs[0]
    with _ONE_AT_A_TIME:
        whole, out = PdfDocument.new(), io.BytesIO()
        for pdf in pdfs:
            part = PdfDocument(pdf)
            whole.import_pages(part)
            part.close()
        whole.save(out)
        whole.close()
    return out.getvalue()


def png(bits: NDArray[np.uint8], width: int) -> bytes:
    """A PNG of one bit a pixel that says 8000 dots a metre (203.2 dpi)."""
    height = len(bits)
    rows = np.empty((height, bits.shape[1] + 1), np.uint8)
    rows[:, 0] = 2  # filter Up: each row less the one above, so that bars and white become runs of nothing
    rows[0, 1:] = ~bits[0]
    rows[1:, 1:] = ~bits[1:] - ~bits[:-1]
    packing = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    packed = packing.compress(rows.tobytes()) + packing.flush()
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", DOTS_A_METRE, DOTS_A_METRE, 1)),
        (b"IDAT", packed),
        (b"IEND", b""),
    )
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zpl(bits: NDArray[np.uint8], width: int, *, packed: bool) -> bytes:
    """A ZPL label that holds the dots as one graphic field: in hexadecimal, or `packed` (Z64), about 1/20 as long.

    Source: Zebra Programming Guide, ^GF and the Z64 encoding (zlib, base64, CRC-16 of the base64 text).
    """
    if packed:
        text = base64.b64encode(zlib.compress(bits.tobytes(), 1))
        data = b":Z64:" + text + f":{binascii.crc_hqx(text, 0):04X}".encode()
    else:
        data = bits.tobytes().hex().upper().encode()
    head = f"^XA\n^PW{width}\n^LL{len(bits)}\n^LH0,0\n^FO0,0^GFA,{bits.size},{bits.size},{bits.shape[1]},"
    return head.encode() + data + b"^FS\n^XZ\n"
