"""What operators see, and what they never see."""

import json
import logging
import select
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog

from app.observability import Metrics, configure_logging, hide_secrets, show_error


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_an_error_is_shown_by_type_and_frames_and_never_by_its_message() -> None:
    error = RuntimeError("张三")
    error.__cause__ = ValueError("6222020000000000")
    event = show_error(None, "error", {"event": "request.failed", "exc_info": error})
    assert event["error"] == "RuntimeError"
    assert event["causes"] == ["ValueError"]
    assert "6222" not in str(event)
    assert "张三" not in str(event)


def test_what_is_named_like_a_secret_is_blanked() -> None:
    event = hide_secrets(None, "info", {"event": "x", "api_secret": "ak_1", "token": "ey"})
    assert event == {"event": "x", "api_secret": "***", "token": "***"}


def test_a_log_line_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    structlog.get_logger().info("charge.confirmed", release_amount=6667)
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["release_amount"], line["level"]) == (
        "charge.confirmed",
        6667,
        "info",
    )
    assert line["at"].endswith("Z")


def _deep(depth: int) -> None:
    if depth:
        _deep(depth - 1)
    raise RuntimeError


def test_no_line_is_longer_than_what_a_pipe_takes_in_one_piece(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO")
    try:
        _deep(40)
    except RuntimeError:
        structlog.get_logger().exception("request.failed", route="/" * 9_000)
    logging.getLogger("uvicorn.error").error("Traceback (most recent call last):\n" * 300)

    failed, library = capsys.readouterr().out.splitlines(keepends=True)
    assert max(len(failed.encode()), len(library.encode())) <= select.PIPE_BUF
    assert json.loads(failed)["error"] == "RuntimeError"
    assert json.loads(failed)["frames"][-1].endswith(" _deep")
    assert "Traceback" in json.loads(library)["event"]


@pytest.mark.parametrize(
    "values",
    [
        {"rows": [{"name": "x" * 300, "frames": ["y" * 700] * 20} for _ in range(30)]},
        {f"text_{number}": "安心" * 1_000 for number in range(6)},
        {f"text_{number}": '\x00"' * 2_000 for number in range(6)},
        {f"text_{number}": "z" * 400 for number in range(60)},
        {"n" * 9_000: 1},
        {"number": 10**4_200},
        {"deep": {"deep": [{"deep": ("x" * 9_000,)}]}},
        {"seen": {number: UUID(int=number) for number in range(500)}},
    ],
)
def test_whatever_is_long_a_line_is_not(
    capsys: pytest.CaptureFixture[str], values: dict[str, object]
) -> None:
    configure_logging("INFO")
    structlog.get_logger().info("charge.confirmed", request_id="req_1", **values)

    (line,) = capsys.readouterr().out.splitlines(keepends=True)
    assert len(line.encode()) <= select.PIPE_BUF
    told = json.loads(line)
    assert (told["event"], told["level"], told["request_id"]) == (
        "charge.confirmed",
        "info",
        "req_1",
    )
    assert told["at"].endswith("Z")


def test_what_stands_by_itself_is_cut_to_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    structlog.get_logger().info("安" * 9_000, request_id="\x00" * 9_000, **{"n" * 9_000: 1})

    (line,) = capsys.readouterr().out.splitlines(keepends=True)
    assert len(line.encode()) <= select.PIPE_BUF
    assert set(json.loads(line)) == {"at", "event", "left_out", "level", "request_id"}


def test_each_process_has_its_own_figures() -> None:
    one, other = Metrics(), Metrics()
    one.uses.inc()
    assert one.registry.get_sample_value("anxin_uses_total") == 1
    assert other.registry.get_sample_value("anxin_uses_total") == 0
