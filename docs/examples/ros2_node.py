"""Publish Moodspace's values in ROS 2: the documents, and the share of each expression.

    moodspace live --to ws://127.0.0.1:8770
    python ros2_node.py --ros-args -p address:=ws://127.0.0.1:8770

Topics: `/moodspace/document` (std_msgs/String, JSON of each frame and mark) and `/moodspace/share/CLASS`
(std_msgs/Float32). Needs rclpy, std_msgs and `pip install websockets`.
"""

import json
import re
import threading

import rclpy
from rclpy.node import Node
from std_msgs.msg import Float32, String
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


class MoodspaceNode(Node):
    """Receive in a thread of its own; connect again when Moodspace was away."""

    def __init__(self) -> None:
        super().__init__("moodspace")
        self.address = self.declare_parameter("address", "ws://127.0.0.1:8770").value
        self.documents = self.create_publisher(String, "moodspace/document", 10)
        self.shares = {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self) -> None:
        """Publish each document until the node ends."""
        while not self.ending.is_set():
            try:
                with connect(self.address) as socket:
                    for text in socket:
                        self.publish(text)
            except (OSError, WebSocketException) as error:
                self.get_logger().warning(f"no connection to {self.address} ({error}); trying again")
            self.ending.wait(1.0)

    def publish(self, text: str) -> None:
        """Publish a document, and the shares of the group if it is large enough."""
        self.documents.publish(String(data=text))
        group = json.loads(text).get("group") or {}
        for name, share in (group.get("shares") or {}).items():
            topic = "moodspace/share/" + re.sub(r"\W", "_", name)
            if topic not in self.shares:
                self.shares[topic] = self.create_publisher(Float32, topic, 10)
            self.shares[topic].publish(Float32(data=share))


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    node = MoodspaceNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.ending.set()
        node.destroy_node()


if __name__ == "__main__":
    main()
