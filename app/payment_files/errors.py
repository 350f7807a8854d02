"""What a file or a report about it cannot be taken for."""

from app.errors import DomainError


class FileMismatch(DomainError):
    """The bank acknowledges other figures than the file's."""

    code = "file_mismatch"

    def __init__(self, figure: str) -> None:
        super().__init__(
            f"The {figure} is not that of the file; nothing was acknowledged. Download it again.",
            figure=figure,
        )


class FileAlreadyDownloaded(DomainError):
    """The bank has the file, so that it can no longer be cancelled."""

    code = "file_already_downloaded"

    def __init__(self) -> None:
        super().__init__("The bank has downloaded this file; it can no longer be cancelled.")


class OrderNotInFile(DomainError):
    """A report names an order that is not one of the file's."""

    code = "order_not_in_file"

    def __init__(self, order_id: str) -> None:
        super().__init__(
            f"The file has no order {order_id}; no result of the report was applied.",
            order_id=order_id,
        )
