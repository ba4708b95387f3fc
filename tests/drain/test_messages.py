"""Every shape of message, and what makes none."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchjob.drain.filters import key_filter
from batchjob.drain.messages import MAX_KEY_BYTES, MAX_WRAPPINGS, Shape, is_newer, latest_of_each, parse
from batchjob.records import Action, ManifestRow
from batchjob.settings import Settings
from tests.support.events import (
    BUCKET,
    ETAG,
    SHAPES,
    SUBSCRIPTION,
    TEST_EVENT,
    TIME_MS,
    Event,
    by_sns,
    eventbridge,
    notification,
    quoted_template,
    template,
)

ODD_KEYS = [
    "請求書 A+B 10%引き (最終版).pdf",
    "%2B%20.pdf",
    "a%zz.pdf",
    'a "quoted" \\ name.pdf',
    "line\nbreak\ttab.pdf",
    "../../etc/passwd.pdf",
    "/absolute.pdf",
    "😀" * 255 + ".pdf",
    "s" * (MAX_KEY_BYTES - 4) + ".pdf",
]
CHANGES = [
    Event("a.pdf"),
    Event("a.pdf", version="3sL4kqtJlcpXroDTDmJ"),
    Event("a.pdf", deleted=True),
    Event("a.pdf", deleted=True, version="UIORUnfndfiufdisojhr", marker=True),
    Event("a.pdf", deleted=True, version="3sL4kqtJlcpXroDTDmJ"),
]


def only_row(body: str) -> ManifestRow:
    parsed = parse(body)
    assert parsed.problems == ()
    [row] = parsed.rows
    return row


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wrappings", range(MAX_WRAPPINGS + 1))
@pytest.mark.parametrize("event", CHANGES)
def test_every_change_in_every_shape(shape: str, wrappings: int, event: Event) -> None:
    body = SHAPES[shape](event)
    for _ in range(wrappings):
        body = by_sns(body)
    parsed = parse(body)
    assert (parsed.shape, parsed.wrappings) == (shape, wrappings)
    row = only_row(body)
    assert (row.bucket, row.key, row.event_time) == (BUCKET, "a.pdf", TIME_MS)
    assert row.action is (Action.DELETE if event.deleted else Action.UPSERT)
    assert (row.size, row.etag) == ((None, None) if event.deleted else (event.size, f'"{ETAG}"'))
    if shape != "template":
        assert (row.version_id, row.sequencer) == (event.version, event.sequencer)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_come_as_they_are(shape: str, key: str) -> None:
    assert only_row(SHAPES[shape](Event(key))).key == key


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda k: len(k.encode()) <= MAX_KEY_BYTES
    )
)
@example("+").via("a plus sign is a blank only in a form")
@example("%25").via("decoded once, not twice")
def test_any_key_is_decoded_once_and_only_where_it_is_encoded(key: str) -> None:
    assert {only_row(by_sns(make(Event(key)))).key for make in SHAPES.values()} == {key}


def test_each_record_of_a_notification_is_a_row_and_each_bad_one_is_named() -> None:
    message = json.loads(notification(*(Event(f"{number}.pdf") for number in range(3))))
    message["Records"].insert(1, {"s3": {"object": {}}})
    message["Records"].append(None)
    parsed = parse(json.dumps(message))
    assert [row.key for row in parsed.rows] == ["0.pdf", "1.pdf", "2.pdf"]
    assert [problem.partition(":")[0] for problem in parsed.problems] == ["record 2", "record 5"]


def test_the_quoted_template_is_read_while_its_output_is_whole() -> None:
    row = only_row(quoted_template(Event("a.pdf")))
    assert (row.size, row.etag) == (1234, f'"{ETAG}"')
    broken = parse(quoted_template(Event('a "b".pdf')))
    assert (broken.shape, broken.rows) == (Shape.UNREADABLE, ())
    assert "must not quote its placeholders" in broken.problems[0]


def test_a_hole_where_a_deleted_object_has_no_size_is_named() -> None:
    parsed = parse('{"s3Bucket": "documents", "s3Key": "a.pdf", "fileSize": , "etag": }')
    assert (parsed.shape, parsed.rows) == (Shape.UNREADABLE, ())


@pytest.mark.parametrize("body", [TEST_EVENT, by_sns(TEST_EVENT)])
def test_a_test_event_says_nothing(body: str) -> None:
    parsed = parse(body)
    assert (parsed.shape, parsed.rows, parsed.problems) == (Shape.S3_TEST, (), ())


def key_in_a_notification(encoded: str) -> str:
    message = json.loads(notification(Event("placeholder.pdf")))
    message["Records"][0]["s3"]["object"]["key"] = encoded
    return json.dumps(message)


def nested(body: str, times: int) -> str:
    for _ in range(times):
        body = by_sns(body)
    return body


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ("x" * 1024 * 1024, "not JSON"),
        ("[" * 1024 * 1024, "not JSON"),
        ('{"a":' * 200_000, "not JSON"),
        ('{"s3Key": "\ud800.pdf", "s3Bucket": "documents"}', "not JSON"),
        ('{"s3Key": "\\ud800.pdf", "s3Bucket": "documents"}', "not JSON"),
        ("\x00", "not JSON"),
        ("null", "no object"),
        ("[]", "no object"),
        ("{}", "none of the known shapes"),
        ('{"Records": {}}', "none of the known shapes"),
        ('{"Records": []}', "is empty"),
        ('{"Records": [[]]}', "no object s3"),
        (SUBSCRIPTION, "SNS asks to confirm"),
        (nested(template(Event("a.pdf")), MAX_WRAPPINGS + 1), "more than 3 times"),
        (template(Event("")), "is no key"),
        ('{"s3Bucket": "documents", "s3Key": 5}', "5 is no key"),
        ('{"s3Bucket": "documents", "s3Key": null}', "None is no key"),
        ('{"s3Bucket": "file:///etc", "s3Key": "passwd.pdf"}', "'file:///etc' is no bucket's name"),
        ('{"s3Bucket": "a/../b", "s3Key": "a.pdf"}', "is no bucket's name"),
        ('{"s3Key": "a.pdf"}', "None is no bucket's name"),
        (template(Event("s" * (MAX_KEY_BYTES - 3) + ".pdf")), "is 1025 bytes long"),
        (key_in_a_notification("%FF%FE.pdf"), "not UTF-8"),
        (key_in_a_notification("%ED%A0%80.pdf"), "not UTF-8"),
        ('{"detail-type": "Scheduled Event", "source": "aws.events"}', "not of aws.s3"),
        ('{"detail-type": "Object Created", "source": "aws.s3", "detail": "?"}', "no object detail"),
    ],
)
def test_what_cannot_be_read_is_named(body: str, why: str) -> None:
    parsed = parse(body)
    assert parsed.rows == ()
    [problem] = parsed.problems
    assert why in problem
    assert len(problem) < 600


@pytest.mark.parametrize("odd", [None, True, -1, 1.5, "many", "", [], {}, 10**30, "9" * 30, "x" * 2000])
def test_a_hint_that_makes_no_sense_is_left_out(odd: object) -> None:
    message = json.loads(template(Event("a.pdf")))
    body = json.dumps(
        message | {"fileSize": odd, "eventTime": odd, "versionId": odd, "sequencer": odd, "etag": odd}
    )
    row = only_row(body)
    assert (row.size, row.event_time) == (None, None)
    kept = odd if odd == "many" or odd == "9" * 30 else None
    assert (row.version_id, row.sequencer) == (kept, kept)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(
    st.sampled_from(["Records", "s3", "object", "bucket", "name", "key", "detail", "detail-type", "s3Key", "Type",
                     "Message", "Event", "source"]), s)))  # fmt: skip
def test_no_json_is_an_error(value: object) -> None:
    parsed = parse(json.dumps(value))
    assert parsed.rows or parsed.problems or parsed.shape is Shape.S3_TEST


@given(st.text())
def test_no_text_is_an_error(body: str) -> None:
    parse(body)


def test_the_latest_event_of_an_object_stays() -> None:
    early = ManifestRow("b", "k", sequencer="0A", event_time=2)
    late = replace(early, sequencer="0A1", event_time=1)
    assert is_newer(late, early)
    assert not is_newer(early, late)
    assert not is_newer(replace(early, sequencer=None), replace(late, event_time=3))
    held: dict[tuple[str, str], ManifestRow] = {}
    latest_of_each([late, early, replace(late, key="other")], held)
    assert [*held.values()] == [late, replace(late, key="other")]


def test_only_documents_below_the_prefix_count() -> None:
    keys = key_filter(Settings(prefix="files/", suffixes=".PDF .tif"))
    assert [
        key for key in ("files/a.pdf", "files/a.Tif", "a.pdf", "files/a.png", "files/pdf") if keys.takes(key)
    ] == [
        "files/a.pdf",
        "files/a.Tif",
    ]


def test_eventbridge_tells_other_changes_of_an_object_too() -> None:
    body = eventbridge(Event("a.pdf")).replace("Object Created", "Object Restore Completed")
    assert only_row(body).action is Action.UPSERT
