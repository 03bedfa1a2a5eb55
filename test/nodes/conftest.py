"""One rclpy context a test, and a peer that talks to the nodes under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import gc
from pathlib import Path
import time
from typing import Any

import pytest


class Graph:
    """
    Nodes under test and a peer node, all spun by the test itself.

    Nothing here sleeps: ``until`` spins until a condition holds.
    """

    def __init__(self) -> None:
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node

        self._executor = SingleThreadedExecutor()
        self._nodes: list[Any] = []
        self._publishers: dict[str, Any] = {}
        self.peer = self.add(Node('peer'))

    def add(self, node: Any) -> Any:
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def listen(self, topic: Any) -> list[Any]:
        """Return the list that messages of a wiring topic will be appended to."""
        received: list[Any] = []
        topic.subscription(self.peer, received.append)
        return received

    def remove(self, node: Any) -> None:
        """End a node, as its process would."""
        self._nodes.remove(node)
        self._executor.remove_node(node)
        node.destroy_node()

    def publisher(self, topic: Any) -> Any:
        """Return the peer's publisher of a wiring topic, once somebody listens."""
        if topic.name not in self._publishers:
            self._publishers[topic.name] = topic.publisher(self.peer)
        publisher = self._publishers[topic.name]
        self.until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def publish(self, topic: Any, message: Any) -> None:
        """Publish once somebody listens."""
        self.publisher(topic).publish(message)

    def call(self, service: Any, name: str, request: Any) -> Any:
        """Call the service ``name`` of the type ``service`` and return its response."""
        client = self.peer.create_client(service, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def until(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
        """Spin until ``condition`` holds; fail the test if it does not in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f'not within {timeout_s} s'
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        for node in self._nodes:
            node.destroy_node()
        self._executor.shutdown()
        # A node that failed to be built is in cycles; until they are collected it is in the graph.
        gc.collect()


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Graph]:
    import rclpy

    monkeypatch.setenv('ROS_HOME', str(tmp_path))  # an e-stop of one test stops no other
    rclpy.init()
    graph = Graph()
    try:
        yield graph
    finally:
        graph.close()
        rclpy.try_shutdown()


@pytest.fixture
def bench(graph: Graph) -> Any:
    """A pose node with a robot and a policy around it."""
    from pose_bench import Bench

    return Bench(graph)


@pytest.fixture
def running(bench: Any) -> Any:
    """The same while the robot follows a command."""
    bench.run()
    return bench
