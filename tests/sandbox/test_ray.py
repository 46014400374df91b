"""Programs on several Ray nodes of one machine: right answers whatever dies, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from r1ci_plugins.errors import InfrastructureFault, RecipeError, SandboxUnavailable
from r1ci_plugins.plugins.registry import load_plugins
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.checks import bench as checks_bench
from r1ci_plugins.sandbox.checks.promises import PROMISES
from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits

if importlib.util.find_spec("ray") is None:
    pytest.skip("needs Ray: run `make setup`", allow_module_level=True)

import ray
from ray.cluster_utils import Cluster

from r1ci_plugins.sandbox.backends import ray as ray_sandbox
from r1ci_plugins.sandbox.backends.ray import LABEL, RaySandbox

pytestmark = [
    pytest.mark.stack,
    pytest.mark.firejail,
    pytest.mark.skipif(shutil.which("firejail") is None, reason="firejail is not installed"),
]
LIMITS = Limits(wall_s=20)
STORE = 80 << 20


class NetworkOnNodes(FirejailSandbox):
    """Firejail as it is here; on nodes it forgets to take the network away, as a broken firejail might."""

    def find_jail(self):
        jail = super().find_jail()
        if ray.get_runtime_context().get_actor_id() is not None:
            jail = replace(jail, wrapper=[option for option in jail.wrapper if option != "--net=none"])
        return jail


@pytest.fixture(scope="module")
def cluster():
    cluster, handler = Cluster(), signal.getsignal(signal.SIGTERM)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=STORE, include_dashboard=False)
        add_node(cluster, alone=1)
        add_node(cluster)
        ray.init(address=cluster.address, log_to_driver=False)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the nodes cannot import a test
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        signal.signal(signal.SIGTERM, handler)  # every node of it has set its own


def add_node(cluster, **labels):
    return cluster.add_node(num_cpus=0, object_store_memory=STORE, resources={LABEL: 1, **labels})


def sandbox(make=FirejailSandbox, **options) -> RaySandbox:
    return RaySandbox(make, {"preload": "light"}, concurrency=1, **options)


@contextlib.asynccontextmanager
async def opened(sandbox):
    try:
        await sandbox.start()
        yield sandbox
    finally:
        await sandbox.close()


async def answers(sandbox, count: int, seconds: float = 0.02) -> None:
    """Run programs of distinct output and check each answer."""

    async def one(number: int) -> None:
        result = await sandbox.run(f"import time; time.sleep({seconds}); print({number} ** 2)", LIMITS)
        assert (result.stdout, result.status) == (f"{number**2}\n", ExecutionStatus.OK)
        assert result.isolation == "firejail"

    await asyncio.gather(*(one(number) for number in range(count)))


def outcomes(sandbox) -> dict[str, float]:
    """Programs that ended well, by place."""
    return {name.partition("/")[0]: count for name, count in sandbox.metrics().items() if name.endswith("/outcome/ok")}


def actors(node) -> list[psutil.Process]:
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [child for child in raylet.children() if "SandboxNode" in " ".join(child.cmdline())]


def jails(*processes: psutil.Process) -> list[psutil.Process]:
    found = [child for process in processes for child in process.children(recursive=True)]
    assert any("firejail" in child.name() for child in found)
    return found


def gone(processes) -> bool:
    return not psutil.wait_procs(processes, timeout=15)[1]


# -- without a cluster (these come first) -----------------------------------------------------------------------------


def test_without_ray_it_is_the_local_pool(caplog):
    async def scenario():
        async with opened(sandbox()) as local:
            await answers(local, 3)
            assert outcomes(local) == {"local": 3}
        with pytest.raises(InfrastructureFault, match="not running"):
            await local.run("", LIMITS)

    asyncio.run(scenario())
    assert [record.message for record in caplog.records if "not connected to Ray" in record.message]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "firejial"}, "firejail"),
        ({"options": {"preloda": "light"}}, "preload"),
        ({"local": 3}, "local"),
        ({"labell": "x"}, "label"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        load_plugins(["r1ci"]).make("sandboxes", "ray", options)


def test_a_recipe_names_it_and_registering_it_imports_no_ray():
    made = load_plugins(["r1ci"]).make("sandboxes", "ray", {"options": {"preload": "light"}, "local": False})
    assert isinstance(made, RaySandbox) and made.isolation == "firejail"
    program = "import sys, r1ci_plugins.plugins.registry as p; p.load_plugins(['r1ci']); print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


# -- on a cluster -----------------------------------------------------------------------------------------------------


# Those that the way over Ray could break; what happens inside a jail is that of the pool.
OVER_RAY = (
    "results are complete",
    "streams are apart",
    "output that is no utf8 is replaced",
    "a megabyte of code runs",
    "output is capped and the rest counted",
    "output before a timeout is kept",
    "senseless limits are refused",
    "patches do not reach the next program",
    "queueing is not running",
    "results are not mixed up",
    "cancellation kills the program",
    "start and close can be repeated",
)


def test_the_contract_holds_on_nodes(cluster):
    def make(concurrency):
        return sandbox(local=False, resource={1: "alone", 2: LABEL}[concurrency])  # one place on each node

    async def scenario():
        async with checks_bench.opened(make, concurrency=2) as bench:
            chosen = [promise for promise in PROMISES if promise.name.replace("-", " ") in OVER_RAY]
            assert len(chosen) == len(OVER_RAY)
            seen = [await promise.examine(bench) for promise in chosen]
        assert [outcome for outcome in seen if outcome.verdict is not checks_bench.Verdict.HELD] == []

    asyncio.run(scenario())


def test_local_first_then_the_nodes(cluster):
    async def scenario():
        async with opened(sandbox()) as both:
            for _ in range(3):
                await answers(both, 1)
            assert outcomes(both) == {"local": 3}
            await answers(both, 40, 0.05)
            where = outcomes(both)
            assert len(where) == 3 and sum(where.values()) == 43
            result = (await asyncio.gather(*(both.run("import time; time.sleep(.3)", LIMITS) for _ in range(9))))[-1]
            assert result.queue_s > 0.3 > result.wall_s - 0.2
            found = jails(*[actor for node in cluster.worker_nodes for actor in actors(node)])
        assert gone(found)

    asyncio.run(scenario())


def test_two_clients_share_the_nodes_and_close_apart(cluster):
    async def scenario():
        async with opened(sandbox(local=False)) as one, opened(sandbox(local=False)) as other:
            await asyncio.gather(answers(one, 10), answers(other, 10))
            assert [len(actors(node)) for node in cluster.worker_nodes] == [1, 1]
            await one.close()
            await answers(other, 4)
            assert sum(outcomes(one).values()) == 10 and sum(outcomes(other).values()) == 14
            assert "outcome/fault" not in other.metrics()

    asyncio.run(scenario())


def test_a_cancelled_program_gives_its_place_back(cluster):
    async def scenario():
        async with opened(sandbox(local=False)) as remote:
            endless = [asyncio.create_task(remote.run("while True: pass", LIMITS)) for _ in range(6)]
            await asyncio.sleep(1)  # two run, four wait
            for task in endless:
                task.cancel()
            begin = time.monotonic()
            await answers(remote, 4)
            assert time.monotonic() - begin < LIMITS.wall_s / 2
            assert all(task.cancelled() for task in await _done(endless))

    asyncio.run(scenario())


async def _done(tasks):
    await asyncio.wait(tasks)
    return tasks


def test_killed_and_hanging_actors_cost_no_answer(cluster, monkeypatch):
    monkeypatch.setattr(ray_sandbox, "ALLOWANCE_S", 3.0)

    async def scenario():
        async with opened(sandbox()) as both:
            await answers(both, 10, 0.05)
            killed, hanging = (actors(node)[0] for node in cluster.worker_nodes)
            found = jails(killed)
            load = asyncio.create_task(answers(both, 60, 0.1))
            await asyncio.sleep(0.5)
            killed.kill()
            await load
            assert gone([killed, *found])
            await answers(both, 60, 0.1)  # long enough to find the actor that Ray has started again
            assert both.metrics()["outcome/fault"] >= 1
            hanging.suspend()
            try:
                stuck = [asyncio.create_task(both.run(f"print({n})", Limits(wall_s=1))) for n in range(9)]
                assert [(await task).stdout for task in stuck] == [f"{n}\n" for n in range(9)]
            finally:
                hanging.resume()

    asyncio.run(scenario())


def test_nodes_come_and_die_under_load(cluster):
    async def scenario():
        async with opened(sandbox(local=False)) as remote:
            load = asyncio.create_task(answers(remote, 40, 0.1))
            await asyncio.sleep(0.2)
            node = add_node(cluster)
            await load
            async with asyncio.timeout(30):
                while len(outcomes(remote)) < 3:
                    await answers(remote, 20)
            found = [*actors(node), *jails(*actors(node))]
            load = asyncio.create_task(answers(remote, 60, 0.1))
            await asyncio.sleep(0.5)
            cluster.remove_node(node, allow_graceful=False)
            await load
            assert gone(found)

    asyncio.run(scenario())


def test_a_node_that_does_not_isolate_runs_nothing(cluster, caplog):
    async def scenario():
        async with opened(sandbox(NetworkOnNodes)) as both:
            await answers(both, 20)
            assert outcomes(both) == {"local": 20}
        with pytest.raises(SandboxUnavailable, match="a working sandbox"):
            await sandbox(NetworkOnNodes, local=False).start()

    asyncio.run(scenario())
    refusals = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(refusals) == 4 and all("does not isolate" in record.message for record in refusals)


def test_no_node_with_the_label(cluster, caplog):
    async def scenario():
        async with opened(sandbox(resource="absent")) as local:
            await answers(local, 3)
            await answers(local, 3)
        with pytest.raises(SandboxUnavailable, match="absent.*local: true|absent"):
            await sandbox(resource="absent", local=False).start()

    asyncio.run(scenario())
    assert sum("local pool only" in record.message for record in caplog.records) == 1
