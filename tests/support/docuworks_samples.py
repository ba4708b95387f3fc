"""A DocuWorks file of each kind, for tests that damage them or send them through the whole pipeline."""

from io import BytesIO

from PIL import Image, ImageDraw

from tests.support import docuworks as dw
from tests.support.documents import text_pdf
from tests.support.metafiles import Emf, Wmf, bitmap

PHRASE = "吾輩は猫である。名前はまだ無い。"


def _picture(form: str) -> bytes:
    image = Image.new("L", (413, 585), 255)
    ImageDraw.Draw(image).rectangle((40, 40, 200, 80), fill=0)
    file = BytesIO()
    image.save(file, form)
    return file.getvalue()


def _printed() -> bytes:
    emf = Emf().font(128).text_8bit(PHRASE.encode("cp932"), 100, 100).text("second line", 100, 200)
    emf.stretch(bitmap([bytes(range(100))] * 60, 100, 8), (100, 300, 900, 600))
    return dw.body(4, emf.bytes(), packed=True)


def documents() -> dict[str, bytes]:
    """By their names."""
    entries = dw.Entries()
    reference = entries.add(_printed())
    strip = entries.add(dw.body(5, _picture("JPEG"), across=413, down=585))
    emf = Emf().next_picture().draw_picture((0, 0, 4961, 7016), (413, 585))
    scan = dw.content(dw.body(4, emf.bytes()), pictures=[strip])
    wmf = Wmf().font(128, 0).text(PHRASE.encode("cp932"), 0, 0)
    named = [dw.text("%Title", "月次報告"), dw.wide_text("%Keywords", "予算")]
    pages = [
        dw.page(dw.content(reference), dw.note("メモ")),
        dw.page(scan),
        dw.page(dw.content(dw.body(1, wmf.bytes(), packed=True))),
    ]
    attached = [
        entries.attached("報告.pdf", text_pdf(PHRASE)),
        entries.attached("表.xlsx", b"PK\3\4" + bytes(60)),
    ]
    whole = dw.write(dw.document(*pages, named=named, originals=attached), entries)
    member = dw.document(dw.page(dw.note(PHRASE)), attributes={4: "契約".encode("cp932") + b"\0"})
    binder = dw.write(dw.binder(member, member, name="綴じ"))
    note = dw.document(dw.page(dw.note(PHRASE, wide=False)))
    old = dw.Form(generation=7)
    return {
        "whole.xdw": whole,
        "binder.xbd": binder,
        "note.xdw": dw.write(note, form=old),
        "plain.xdw": dw.write(note, form=dw.Form(plain=True)),
        "again.xdw": dw.append(dw.write(note, form=old), note, form=old),
        "protected.xdw": dw.write(note, form=dw.Form(protected=True)),
    }
