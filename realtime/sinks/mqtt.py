"""Publish documents to an MQTT broker, each as one message of JSON."""

import contextlib
import socket
import ssl
import threading
from typing import Any

from moodspace.realtime.sinks.destination import Destination, SinkError, SinkOptions
from moodspace.realtime.sinks.outbox import Message, Sink

_CONNECTING_S, _SENDING_S, _KEEPALIVE_S = 5.0, 5.0, 30


class MQTTSink(Sink):
    """Publish with QoS 0, so that nothing is kept for subscribers that are away.

    Args:
        destination: The broker and the topic.
        options: The user name, the password and the certificates.
    """

    def __init__(self, destination: Destination, options: SinkOptions) -> None:
        super().__init__(destination.text)
        self._at, self._options = destination, options
        self._client: Any = None
        self._hangs = False

    def prepare(self) -> None:
        """Check paho-mqtt and the certificates.

        Raises:
            SinkError: The certificates cannot be read.
            ImportError: paho-mqtt is missing.
        """
        import paho.mqtt.client  # noqa: F401

        self._tls = None
        if self._at.kind == "mqtts":
            try:
                self._tls = ssl.create_default_context(cafile=self._options.ca)
            except (OSError, ValueError) as error:
                raise SinkError(f"{self._options.ca}: expected certificates in PEM, got: {error}") from error

    def connect(self) -> None:
        """Connect to the broker and wait for its answer; see `Sink.connect`."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.connect_timeout = _CONNECTING_S
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._options.username is not None or self._options.password is not None:
            client.username_pw_set(self._options.username or "", self._options.password)
        answered, answers = threading.Event(), []

        def on_connect(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
            answers.append(reason)
            answered.set()

        def on_disconnect(*_: Any) -> None:
            answered.set()

        client.on_connect, client.on_disconnect = on_connect, on_disconnect
        client.on_connect_fail = on_disconnect
        self._client, self._hangs = client, False
        try:
            client.connect(self._at.host, self._at.port, _KEEPALIVE_S)
        except (ValueError, RuntimeError) as error:
            raise OSError(str(error)) from error
        client.loop_start()
        if not answered.wait(_CONNECTING_S) or not answers:
            raise OSError("the broker does not answer")
        if answers[0].is_failure:
            raise OSError(f"the broker refuses: {answers[0]}")

    def send(self, message: Message) -> None:
        """Publish a document and wait until it is on its way; see `Sink.send`."""
        try:
            info = self._client.publish(self._at.path, message.text)
            info.wait_for_publish(_SENDING_S)
            done = info.is_published()
        except (ValueError, RuntimeError) as error:
            raise OSError(str(error)) from error
        if not done:
            self._hangs = True
            raise OSError(f"the broker took nothing for {_SENDING_S:g} s")

    def close(self) -> None:
        """Disconnect; see `Sink.close`."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                client.disconnect()
            if self._hangs and (connection := client.socket()) is not None:
                # Otherwise paho's thread would wait for the broker to take what it has.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            client.loop_stop()
