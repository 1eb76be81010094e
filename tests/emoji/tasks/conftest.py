"""The small emoji world and its tasks, shared with the benchmark tests."""

from tests.evaluation.benchmarks.conftest import concepts, drawings, task_directory  # noqa: F401
