"""Makes the sample: OUTDIR/sample/ with its documents, OUTDIR/sample.csv and OUTDIR/sample-expected.json.

Run by a developer, from anywhere: `python manifests/make_sample.py OUTDIR` (`manifests` for the committed
sample). Needs reportlab, Pillow with Raqm, numpy, pikepdf and pypdfium2, and the Debian package
fonts-ipaexfont. Seeds and dates are fixed: a second run on the same machine gives the same bytes.
"""

import csv
import json
import sys
from pathlib import Path

from sampledocs.catalogue import DOCUMENTS, Document
from sampledocs.paper import register_fonts

COLUMNS = ("path", "department", "project", "tags", "doc_type")
FOLDER = "sample"


def write_documents(out: Path) -> int:
    """Writes every document and returns the sum of their sizes in bytes."""
    total = 0
    for document in DOCUMENTS:
        target = out / FOLDER / document.path
        target.parent.mkdir(parents=True, exist_ok=True)
        total += target.write_bytes(document.build())
    return total


def write_manifest(target: Path) -> None:
    """Writes the hand-written form of a manifest: a path and field columns a row."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for document in DOCUMENTS:
            fields = (document.department, document.project, document.tags, document.doc_type)
            writer.writerow((f"{FOLDER}/{document.path}", *fields))


def expectation(document: Document) -> dict[str, object]:
    """What a run must make of the document."""
    status: dict[str, object] = {"status": "ok"}
    if document.failure:
        status = {"status": "failed", "category": document.failure}
    return status | {
        "pages": document.pages,
        "phrases": list(document.phrases),
        "ocr_pages": document.ocr_pages,
    }


def write_expectations(target: Path) -> None:
    """Writes the expectations of all documents, keyed by the path in the manifest."""
    expected = {f"{FOLDER}/{document.path}": expectation(document) for document in DOCUMENTS}
    target.write_text(json.dumps(expected, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Makes everything below the folder named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python manifests/make_sample.py OUTDIR")
    out = Path(sys.argv[1])
    register_fonts()
    size = write_documents(out)
    write_manifest(out / "sample.csv")
    write_expectations(out / "sample-expected.json")
    print(f"{len(DOCUMENTS)} documents, {size / 1e6:.2f} MB, in {out / FOLDER}")


if __name__ == "__main__":
    main()
