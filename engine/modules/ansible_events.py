"""Tells farm, line by line in JSON, what a playbook does. It writes to the file descriptor that
the variable FARM_ANSIBLE_EVENTS names."""

import importlib
import json
import os
import sys
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: farm_events
    type: stdout
    short_description: events for farm
    description: One JSON object a line for each play, task, result and for the totals.
"""

MAX_RESULT = 4 << 20  # characters; a longer result is left out


def plain(value):
    """What JSON has no form for, as text."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "(%s)" % type(value).__name__  # such as text that is encrypted


def part(result, name):
    """An attribute of a result, which newer versions name without the underscore."""
    found = getattr(result, name, None)
    return getattr(result, "_" + name) if found is None else found


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "farm_events"

    def __init__(self, *args, **kwargs):
        super(CallbackModule, self).__init__(*args, **kwargs)
        self.events = os.fdopen(int(os.environ["FARM_ANSIBLE_EVENTS"]), "w")
        self.began = {}
        self.started = None

    def tell(self, kind, **more):
        more["kind"] = kind
        self.events.write(json.dumps(more, default=plain, skipkeys=True) + "\n")
        self.events.flush()

    def v2_playbook_on_start(self, playbook):
        missing = []
        for name in os.environ.get("FARM_ANSIBLE_COLLECTIONS", "").split():
            try:
                importlib.import_module("ansible_collections." + name)
            except ImportError:
                missing.append(name)
        if missing:
            self.tell("missing", collections=missing)
            sys.exit(1)

    def v2_playbook_on_play_start(self, play):
        self.tell("play", name=str(play.get_name()))

    def v2_playbook_on_no_hosts_matched(self):
        self.tell("no_hosts")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.start(task)

    def v2_playbook_on_cleanup_task_start(self, task):
        self.start(task)

    def v2_playbook_on_handler_task_start(self, task):
        self.start(task)

    def start(self, task):
        self.began.clear()
        self.started = time.time()
        self.tell("task", **self.task(task))

    def task(self, task):
        place = getattr(getattr(task, "_ds", None), "ansible_pos", None)
        where = "%s:%s:%s" % tuple(place[:3]) if place else task.get_path()
        return {"id": str(task._uuid), "name": str(task.get_name()), "action": str(task.action), "file": str(where or "")}

    def v2_runner_on_start(self, host, task):
        self.began[(host.get_name(), task._uuid)] = time.time()

    def v2_runner_on_ok(self, result):
        self.result(result, "changed" if part(result, "result").get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result):
        self.result(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        ignored = getattr(part(result, "task"), "ignore_unreachable", False)
        self.result(result, "ignored" if ignored else "unreachable")

    def result(self, result, status):
        host, task = part(result, "host").get_name(), part(result, "task")
        found = {k: v for k, v in part(result, "result").items() if not str(k).startswith("_ansible") and k != "invocation"}
        began = self.began.get((host, task._uuid), self.started) or time.time()
        size = len(json.dumps(found, default=plain, skipkeys=True))
        if size > MAX_RESULT:
            found = {"changed": found.get("changed", False), "msg": "the result of %d characters is left out" % size}
        self.tell("result", host=host, status=status, ms=int(1000 * (time.time() - began)), result=found, **self.task(task))

    def v2_playbook_on_stats(self, stats):
        self.tell("stats", hosts={host: stats.summarize(host) for host in stats.processed})
