"""Makes text of the bytes that drawings and attributes hold, by Windows' character sets; asked by their readers."""

_CODECS = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
}
"""Windows' character sets (MS-WMF 2.1.1.5)."""
_CODE_PAGES = {
    932: "cp932",
    936: "gbk",
    949: "cp949",
    950: "cp950",
    1361: "johab",
    65001: "utf-8",
    874: "cp874",
} | {page: f"cp{page}" for page in range(1250, 1259)}
USUAL_CODE_PAGE = 932
SYMBOL = 2
_SYMBOL_AREA = 0xF000
"""Where Unicode text has the codes of a symbol font."""
_SYMBOL_FONT = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…│─↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪",
    "〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
)
"""The font Symbol from 0x20, 0xA0 and 0xF1 on (Adobe's Symbol encoding)."""
_SIGNS = {
    "symbol": {
        start + index: sign
        for start, signs in zip((0x20, 0xA0, 0xF1), _SYMBOL_FONT, strict=True)
        for index, sign in enumerate(signs)
    },
    "wingdings": {
        0x20: " ", 0x6C: "●", 0x6D: "❍", 0x6E: "■", 0x6F: "□", 0x70: "◻", 0x71: "❑", 0x72: "❒", 0x74: "⧫",
        0x75: "◆", 0x76: "❖", 0x9F: "•", 0xA7: "▪", 0xA8: "◻", 0xD8: "➢", 0xE0: "→", 0xDF: "←", 0xE1: "↑",
        0xE2: "↓", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
    },
}  # fmt: skip
"""Signs by the fonts that have them: all of Symbol, the bullets, arrows and marks of Wingdings."""


def decode(data: bytes, charset: int | None) -> str:
    """8-bit text of a character set; where the set leaves it open, Japanese if it can be, else Western."""
    codec = _CODECS.get(charset if charset is not None else -1)
    if codec:
        return data.decode(codec, errors="replace")
    try:
        return data.decode("cp932")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def decode_wide(data: bytes) -> str:
    """UTF-16LE; an odd byte at the end does not count."""
    return data[: len(data) // 2 * 2].decode("utf-16-le", errors="replace")


def signs_of(codes: bytes, face: str, *, wide: bool) -> str | None:
    """The characters of text in a symbol font; None where it has one that is not known here."""
    known = _SIGNS.get(face.strip().lower(), {0x20: " "})
    numbers = [ord(character) for character in decode_wide(codes)] if wide else [*codes]
    found = [known.get(number - _SYMBOL_AREA if number >= _SYMBOL_AREA else number) for number in numbers]
    return None if None in found else "".join(filter(None, found))


def decode_stored(data: bytes, *, wide: bool, code_page: int = USUAL_CODE_PAGE) -> str:
    """Text of an attribute, up to its NUL: UTF-16LE, else of a Windows code page, CP932 for those not known."""
    if wide:
        return decode_wide(data).split("\0")[0]
    return data.split(b"\0")[0].decode(_CODE_PAGES.get(code_page, "cp932"), errors="replace")
