"""Live pictures in a browser on this machine: a page and an MJPEG stream on the loopback address, nothing else."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

from surround_depth.errors import ConfigError
from surround_depth.imaging import encode_jpeg
from surround_depth.runtime.results import PlayedFrame
from surround_depth.viz.drawing import Picture

HOST = "127.0.0.1"
_BOUNDARY = "surround-depth-frame"
_JPEG_QUALITY = 88


class LivePage:
    """Serves the newest mosaic. A slow browser skips frames; it never slows the playback.

    Raises:
        ConfigError: the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._newest = _NewestPicture()
        try:
            self._server = _Server((HOST, port), self._newest)
        except OSError as error:
            raise ConfigError(f"port {port} on {HOST} cannot be used: {error.strerror}; choose another") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="live-page", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the page is, for a browser on this machine."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def show(self, frame: PlayedFrame, picture: Picture) -> None:
        """Publish the frame's mosaic to every open page."""
        self._newest.put(encode_jpeg(picture, quality=_JPEG_QUALITY))

    def close(self) -> None:
        """End all streams and the server."""
        self._newest.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _NewestPicture:
    """One JPEG that readers wait for; a newer one replaces it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jpeg: bytes | None = None
        self._number = 0
        self._closed = False

    def put(self, jpeg: bytes) -> None:
        with self._changed:
            self._jpeg = jpeg
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_newer(self, number: int) -> tuple[int, bytes] | None:
        """Return the first picture after `number`, with its own number; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number)
            return None if self._closed or self._jpeg is None else (self._number, self._jpeg)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], newest: _NewestPicture) -> None:
        self.newest = newest
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        # A page elsewhere may point a name of its own at this address; only ours may read the pictures.
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in (HOST, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path == "/":
            self._send_page()
        elif self.path == "/stream":
            self._send_stream()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: a library writes no access log."""

    def _send_page(self) -> None:
        page = resources.files("surround_depth.runtime").joinpath("live_page.html").read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def _send_stream(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        try:
            while (picture := self.server.newest.wait_newer(number)) is not None:
                number, jpeg = picture
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode("ascii") + jpeg + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # the browser closed the page
