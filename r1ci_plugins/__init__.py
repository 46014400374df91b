"""Code-interpreter reasoning for the OpenRLHF trainer: the names that plugin and task-pack authors need."""

from r1ci_plugins.errors import R1CIError
from r1ci_plugins.hookspecs import hookimpl
from r1ci_plugins.tasks.task import Program, Question, Score, Task, TaskPack

__all__ = ["Program", "Question", "R1CIError", "Score", "Task", "TaskPack", "hookimpl"]
__version__ = "0.1.0"
