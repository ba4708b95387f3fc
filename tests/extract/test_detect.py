import pytest

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Kind, NotReadError, detect


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7\n", Kind.PDF),
        (b"\x00" * 1023 + b"%PDF-1.4", Kind.PDF),
        (b"\xff\xd8\xff\xe0..JFIF", Kind.JPEG),
        (b"\x89PNG\r\n\x1a\n....", Kind.PNG),
        (b"II*\x00....", Kind.TIFF),
        (b"MM\x00*....", Kind.TIFF),
        (b"BM\x36\x00\x0c\x00\x00\x00\x00\x00", Kind.BMP),
        (b"GIF89a....", Kind.GIF),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", Kind.WEBP),
        (b"\x60\x0e\x82\x01\x0a\x80\x03\x00\xc0\x13\x83\x04\x01\x0d\x0a\x01a", Kind.XDW),
        (b"\x60\x0e\x82\x01\x07\x80\x03\x00\xc0\x14\x83\x04\x01\x0d\x0a\x01%PDF-1.7", Kind.XBD),
    ],
)
def test_what_is_read(head: bytes, kind: Kind) -> None:
    assert detect(head) is kind


@pytest.mark.parametrize(
    ("head", "category", "words"),
    [
        (b"", FailureCategory.EMPTY, "empty"),
        (b"\x60\x0e\x82\x01....", FailureCategory.CORRUPT, "DocuWorks file is damaged"),
        (b"XDWF\x01\x00\x00\x00", FailureCategory.CORRUPT, "DocuWorks file is damaged"),
        (b"PK\x03\x04....", FailureCategory.UNSUPPORTED, "office"),
        (b"%!PS-Adobe", FailureCategory.UNSUPPORTED, "PostScript"),
        (b"<?xml version='1.0'?>", FailureCategory.UNSUPPORTED, "XML"),
        ("こんにちは、世界。\n".encode(), FailureCategory.UNSUPPORTED, "plain text"),
        ("こんにちは、世界。\n".encode("cp932"), FailureCategory.UNSUPPORTED, "plain text"),
        (b"BM meeting notes", FailureCategory.UNSUPPORTED, "plain text"),
        (b"\x00\x00\x00\x18ftypmp42", FailureCategory.UNSUPPORTED, "video"),
        (b"\x00\x01\x02\x03\x04", FailureCategory.UNSUPPORTED, "no kind"),
        (b"\x00" * 1100 + b"%PDF-1.4", FailureCategory.UNSUPPORTED, "no kind"),
    ],
)
def test_what_is_not_read_is_named(head: bytes, category: FailureCategory, words: str) -> None:
    with pytest.raises(NotReadError, match=words) as caught:
        detect(head)
    assert caught.value.category is category


def test_text_cut_inside_a_character_is_text() -> None:
    with pytest.raises(NotReadError, match="plain text"):
        detect(("議事録" * 2000).encode()[:4096])
