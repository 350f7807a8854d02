"""HTTP/1.1 for a client that asks for another protocol.

The service speaks no other, and such a wish may be ignored (RFC 9110 §7.8). The parser takes it for
granted: it reads no body after a head with `Upgrade`, and nothing after that as HTTP. But a client
that asks for `h2c` sends its body in HTTP/1.1, and goes on in it unless it is told to switch.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UnswitchedProtocol(HttpToolsProtocol):
    """Reads each head that asks for another protocol again, as if it did not."""

    _in_head: bool = True
    """Until one is whole that does not ask."""

    def data_received(self, data: bytes) -> None:
        """Read on, whatever a head asks for."""
        self._unset_keepalive_if_required()
        rest: bytes | memoryview = data
        try:
            while True:
                try:
                    self.parser.feed_data(rest)
                except HttpParserUpgrade as upgrade:
                    if not self._in_head:
                        return  # a CONNECT: nothing behind it is for us
                    rest = memoryview(rest)[upgrade.args[0] :]
                    self._parse_head_again()
                else:
                    return
        except HttpParserError:
            told = "Invalid HTTP request received."
            self.logger.warning(told)
            self.send_400_response(told)

    def _asks_to_switch(self) -> bool:
        """Say of a head that just ended whether it will come again."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _parse_head_again(self) -> None:
        line = (self.parser.get_method(), self.url, b"HTTP/%b" % self._version())
        lines = [b" ".join(line)]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        # The old one took the call for whole, and reads on after no last call.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def _version(self) -> bytes:
        return self.parser.get_http_version().encode("ascii")
