# A stdout callback of ansible-playbook that writes what happens as lines of JSON to the file that
# the variable FARM_CONFORMANCE_RECORD names: one {"event": {...}} a result, one {"end": {...}} a playbook.
import json
import os

from ansible.parsing.ajson import AnsibleJSONEncoder
from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: stdout
short_description: record results as lines of JSON
description: Writes results as lines of JSON.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "record"

    def __init__(self):
        super().__init__()
        self.out = open(os.environ["FARM_CONFORMANCE_RECORD"], "w", buffering=1)
        self.names = {}
        self.play = None

    def write(self, kind, value):
        self.out.write(json.dumps({kind: value}, cls=AnsibleJSONEncoder, vault_to_text=True, preprocess_unsafe=False) + "\n")

    def v2_playbook_on_play_start(self, play):
        self.play = play

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.names[task._uuid] = task.name  # evaluated only while this runs

    def v2_playbook_on_handler_task_start(self, task):
        self.names[task._uuid] = task.name

    def event(self, result, status, item=False):
        task = result._task
        self.write("event", {
            "task": self.names.get(task._uuid, task.name) or "",
            "module": task.action,
            "handler": isinstance(task, Handler),
            "item": item,
            "status": status,
            "result": {k: v for k, v in result._result.items() if not k.startswith("_ansible_")},
        })

    @staticmethod
    def good(result):
        return "changed" if result._result.get("changed") else "ok"

    def v2_runner_on_ok(self, result):
        self.event(result, self.good(result))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.event(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result):
        self.event(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self.event(result, "unreachable")

    def v2_runner_item_on_ok(self, result):
        self.event(result, self.good(result), True)

    def v2_runner_item_on_failed(self, result):
        self.event(result, "ignored" if result._task.ignore_errors else "failed", True)

    def v2_runner_item_on_skipped(self, result):
        self.event(result, "skipped", True)

    def v2_playbook_on_stats(self, stats):
        host = self.play.hosts[0] if self.play else ""
        failed = bool(stats.failures.get(host)) or bool(stats.dark.get(host))
        manager = self.play.get_variable_manager()
        self.write("end", {
            "host": host,
            "outcome": "failed" if failed else "ok",
            "vars": dict(manager._nonpersistent_fact_cache.get(host, {})),
        })
