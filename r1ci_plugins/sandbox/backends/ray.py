"""The Ray backend: the local pool, and one pool on each Ray node that offers a resource label.

A program takes a free place in the local pool. If there is none, it takes one on the node with the most free places,
or waits. Nodes announce themselves by the label (``ray start --resources='{"r1ci_sandbox": 1}'``). While programs
wait, the list of nodes is refreshed, so that new nodes are used and dead ones are not. If a node is lost, its programs
run again elsewhere, since they have no state. A node whose jail does not isolate is logged and not used.
"""

import asyncio
import contextlib
import hashlib
import logging
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import ray
from ray.exceptions import ActorDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from r1ci_plugins.errors import InfrastructureFault, R1CIError, SandboxUnavailable
from r1ci_plugins.sandbox.contract import ExecutionResult, Limits, Sandbox
from r1ci_plugins.sandbox.cores import usable_cores
from r1ci_plugins.sandbox.pool_metrics import PoolMetrics

log = logging.getLogger(__name__)

LABEL = "r1ci_sandbox"
ATTEMPTS = 3
LOOK_EVERY_S = 2.0
GREETING_S = 30.0  # for a node's answer, its first jail included
ALLOWANCE_S = 60.0  # beyond the program's limit: the node's queue, starting a slot, the network
PATIENCE_S = 60.0  # without any pool at all
REFUSED_S = 300.0  # until a node that did not isolate may try again to prove that it does
LEAVING_S = 10.0
CALLS_AT_ONCE = 10_000  # the pool bounds what runs; what waits must not keep greetings out

# Actors by job and name. An actor ends with its first handle, so that handle must outlive the sandboxes that use it.
_actors: dict[tuple[str, str], Any] = {}
_finding = threading.Lock()


class Answer(NamedTuple):
    """What a node sends back: a result, an error (Ray would wrap it if it were raised), or None when it is ready.

    ``load`` is how many programs of all clients run or wait there, ``places`` how many it can run at a time.
    """

    outcome: ExecutionResult | R1CIError | None
    load: int
    places: int


class SandboxNode:
    """The Ray actor with the pool of one node, which all clients of a run share. It raises nothing."""

    def __init__(self, make: Callable[[], Sandbox], places: int | None) -> None:
        self._pool, self._places = make(), _places(places)
        self._clients: set[str] = set()
        self._load = 0

    async def join(self, client: str) -> Answer:
        """Make the pool ready, and keep it so until the client leaves."""
        try:
            self._clients.add(client)
            await self._pool.start()
            return self._answer(None)
        except Exception as error:
            return self._answer(_typed(error))

    async def run(self, client: str, code: str, limits: Limits) -> Answer:
        """Run one program. If Ray has restarted the actor, the pool is new."""
        self._load += 1
        try:
            self._clients.add(client)
            await self._pool.start()
            outcome: ExecutionResult | R1CIError = await self._pool.run(code, limits)
        except Exception as error:
            outcome = _typed(error)
        finally:
            self._load -= 1
        return self._answer(outcome)

    async def leave(self, client: str) -> None:
        """Close the pool if this was the last client."""
        self._clients.discard(client)
        if not self._clients:
            await self._pool.close()

    def _answer(self, outcome: ExecutionResult | R1CIError | None) -> Answer:
        return Answer(outcome, self._load, self._places)


class _Local:
    """The pool of this machine as the client sees it."""

    name, local = "local", True

    def __init__(self, pool: Sandbox, places: int) -> None:
        self.pool, self.run, self.places = pool, pool.run, places
        self.running = 0  # our programs there, waiting ones included

    @property
    def free(self) -> int:
        return self.places - self.running


class _Remote:
    """The pool of a node as the client sees it."""

    local = False

    def __init__(self, name: str, actor: Any, client: str) -> None:
        self.name, self._actor, self._client = name, actor, client
        self.places = self.running = 0
        self._deadlines: set[asyncio.Timeout] = set()  # of the calls that are under way
        self._others = 0  # programs of other clients there, when it last answered

    @property
    def free(self) -> int:
        """Never less than one while we have nothing there, or others could keep us out for good."""
        return max(self.places - self.running - self._others, 1 - self.running)

    async def join(self) -> None:
        """Greet the node, which makes its pool ready. Raises as ``run``."""
        self._learn(await self._call(self._actor.join.remote(self._client), GREETING_S), self.running)

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run one program there; RayError or TimeoutError if the node or the actor is lost or hangs."""
        call = self._actor.run.remote(self._client, code, limits)
        outcome = self._learn(await self._call(call, limits.wall_s + ALLOWANCE_S), self.running - 1)
        assert outcome is not None
        return outcome

    async def leave(self) -> None:
        """End what we have there."""
        self.expire()
        with contextlib.suppress(RayError, TimeoutError):
            await self._call(self._actor.leave.remote(self._client), LEAVING_S)

    def expire(self) -> None:
        """Let the calls that are under way fail now."""
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(0)

    async def _call(self, call: ray.ObjectRef[Any], timeout_s: float) -> Any:
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                self._deadlines.add(deadline)
                try:
                    return await call
                finally:
                    self._deadlines.discard(deadline)
        except ActorDiedError:  # for good; its node is dead, or the process that it belonged to
            with _finding:  # the next search finds, or starts, another in its place
                for key in [key for key, actor in _actors.items() if actor is self._actor]:
                    del _actors[key]
            raise
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(RayError, ValueError):  # Ray may have been shut down
                ray.cancel(call)
            raise

    def _learn(self, answer: Answer, ours: int) -> ExecutionResult | None:
        self.places, self._others = answer.places, max(0, answer.load - ours)
        if isinstance(answer.outcome, R1CIError):
            raise answer.outcome
        return answer.outcome


_Site = _Local | _Remote


class RaySandbox:
    """A sandbox that spills over to other machines.

    All sandboxes of a Ray job with the same settings share the actors. An actor belongs to the process that asked for
    it first and ends with it, so that none outlives the job; other processes then start a new one. Its jails end when
    the last sandbox closes.

    Args:
        make: Makes a pool, here and on the nodes; a class or function that the nodes can import.
        options: Options for it, besides ``concurrency`` and ``python``.
        concurrency: Programs at a time in each pool; default: the CPU cores there.
        python: Interpreter of the programs, the same path everywhere; default: the one that runs there.
        resource: Label of the nodes to use.
        local: Whether programs run on this machine too.
    """

    def __init__(
        self,
        make: Callable[..., Sandbox],
        options: Mapping[str, Any],
        *,
        concurrency: int | None = None,
        python: str | None = None,
        resource: str = LABEL,
        local: bool = True,
    ) -> None:
        self._make = partial(make, concurrency=concurrency, python=python, **options)
        self._concurrency, self._resource = concurrency, resource
        settings = repr((make.__module__, make.__qualname__, sorted(options.items()), concurrency, python))
        self._settings = hashlib.sha256(settings.encode()).hexdigest()[:12]
        pool = self._make()  # made even where it is not used: wrong options show here, not on a node
        self.isolation = pool.isolation
        self._local = _Local(pool, _places(concurrency)) if local else None
        self._client = uuid.uuid4().hex
        self._remotes: dict[str, _Remote] = {}  # by node id
        self._greeting: set[str] = set()
        self._refused: dict[str, float] = {}
        self._waiting: deque[tuple[asyncio.Future[_Site], _Site | None]] = deque()
        self._opening = asyncio.Lock()
        self._started = False
        self._watching: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics: defaultdict[str, PoolMetrics] = defaultdict(PoolMetrics)

    async def start(self) -> None:
        """Start the local pool and greet the nodes. Before this process is connected to Ray there are none.

        Raises:
            SandboxUnavailable: The local pool does not start, or there is none and no node can run programs.
        """
        async with self._opening:
            if self._started:
                return
            if self._local is not None:
                await self._local.pool.start()
            self._started = True
            await asyncio.gather(*await self._look())
            label = f"no Ray node offers the resource {self._resource!r} and a working sandbox"
            if not ray.is_initialized():
                log.warning("not connected to Ray: nodes that offer %r are looked for later", self._resource)
            elif self._local is not None and not self._remotes:
                log.warning("%s: programs run in the local pool only", label)
            elif not self._remotes:
                self._started = False
                raise SandboxUnavailable(
                    label,
                    where="sandbox.options.resource",
                    fix=f"start nodes with `ray start --resources='{{\"{self._resource}\": 1}}'`, or set local: true",
                )

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run one program.

        In the result, ``queue_s`` is all the time that the program did not run: waiting here and on the node, the
        network both ways, and attempts that failed.

        Raises:
            InfrastructureFault: ``ATTEMPTS`` pools failed or were lost, or there is none.
            ValueError: A limit is zero, negative or not a number.
        """
        limits.check()
        queued = time.monotonic()
        site, fault = None, InfrastructureFault("no attempt was made")
        for attempt in range(1, ATTEMPTS + 1):
            site = await self._take(avoid=site)
            try:
                result = await site.run(code, limits)
            except (R1CIError, RayError, TimeoutError) as error:
                fault = self._failed(site, error)
                log.warning("a program failed on %s, attempt %d of %d: %s", site.name, attempt, ATTEMPTS, fault)
            else:
                waited = max(0.0, time.monotonic() - queued - result.wall_s)
                result = replace(result, queue_s=waited, attempts=result.attempts + attempt - 1)
                self._metrics[""].add(result)
                self._metrics[f"{site.name}/"].add(result)
                return result
            finally:
                site.running -= 1
                self._hand_out()
        raise fault

    async def close(self) -> None:
        """Cancel what runs, and close the local pool and those on nodes that nobody else uses."""
        async with self._opening:
            self._started = False
            self._give_up(InfrastructureFault("the sandbox was closed before the program ran"))
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*(remote.leave() for remote in self._remotes.values()))
            self._remotes.clear()
            if self._local is not None:
                await self._local.pool.close()

    def metrics(self) -> dict[str, float]:
        """What became of this client's programs: in all, and for ``local`` and each node by name."""
        return {
            f"{place}{name}": value for place, one in self._metrics.items() for name, value in one.summary().items()
        }

    # -- places -------------------------------------------------------------------------------------------------------

    async def _take(self, avoid: _Site | None) -> _Site:
        """Wait for a place, on another site than ``avoid`` if that is possible at once."""
        if not self._started:
            raise InfrastructureFault("the sandbox is not running", fix="await its start() first, close() last")
        place: asyncio.Future[_Site] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, avoid))
        self._hand_out()
        if not place.done() and (self._watching is None or self._watching.done()):
            self._watching = self._in_background(self._watch())
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:  # it came too late
                place.result().running -= 1
                self._hand_out()
            raise

    def _hand_out(self) -> None:
        """Give free places to those that wait, in order."""
        while self._waiting and (free := [site for site in self._sites() if site.free > 0]):
            place, avoid = self._waiting.popleft()
            if not place.done():
                site = max(free, key=lambda one: (one is not avoid, one.local, one.free))
                site.running += 1
                place.set_result(site)

    def _sites(self) -> list[_Site]:
        return [*([self._local] if self._local is not None else []), *self._remotes.values()]

    def _give_up(self, fault: InfrastructureFault) -> None:
        for place, _ in self._waiting:
            if not place.done():
                place.set_exception(fault)
        self._waiting.clear()

    def _failed(self, site: _Site, error: Exception) -> InfrastructureFault:
        """Take note of a failed attempt; a node that is lost or refuses is not used until it is greeted again."""
        for name in ("", f"{site.name}/"):
            self._metrics[name].outcomes["fault"] += 1
        if isinstance(error, InfrastructureFault):
            return error
        for node, remote in list(self._remotes.items()):
            if remote is site:
                self._forget(node, error)
        return InfrastructureFault(f"{site.name} was lost: {_first_line(error)}")

    # -- nodes --------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look for nodes while programs wait."""
        last_seen = time.monotonic()
        while any(not place.done() for place, _ in self._waiting):
            await self._look()
            if self._sites():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > PATIENCE_S:
                self._give_up(InfrastructureFault(f"no Ray node offers the resource {self._resource!r} any more"))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> list[asyncio.Task[None]]:
        """Drop nodes that are gone and greet the others, in the tasks returned."""
        try:
            nodes = await asyncio.to_thread(self._nodes)
        except Exception as error:  # Ray's head is busy or gone; what is known still counts
            log.warning("Ray does not tell its nodes: %s", _first_line(error))
            return []
        for node in self._remotes.keys() - nodes.keys():
            self._forget(node, RayError("Ray says that it is dead"))
        now = time.monotonic()
        due = [node for node in nodes if now - self._refused.get(node, -REFUSED_S) >= REFUSED_S]
        return [self._in_background(self._greet(node, nodes[node])) for node in due if node not in self._greeting]

    def _nodes(self) -> dict[str, str]:
        """Names of the living nodes with the label, by id; our own is left out if it has the local pool."""
        if not ray.is_initialized():
            return {}
        own = ray.get_runtime_context().get_node_id() if self._local is not None else None
        return {
            node["NodeID"]: f"{node['NodeManagerHostname']}-{node['NodeID'][:8]}"
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get(self._resource) and node["NodeID"] != own
        }

    async def _greet(self, node: str, name: str) -> None:
        self._greeting.add(node)
        try:
            known = self._remotes.get(node)
            remote = await asyncio.to_thread(self._find, node, name) if known is None else known
            await remote.join()
        except (R1CIError, RayError, TimeoutError) as error:
            self._forget(node, error, name)
        else:
            if node not in self._remotes:
                log.info("programs may run on %s, %d at a time", name, remote.places)
                self._remotes[node] = remote
            self._refused.pop(node, None)
            self._hand_out()
        finally:
            self._greeting.discard(node)

    def _find(self, node: str, name: str) -> _Remote:
        actor_name = f"r1ci-sandbox-{node}-{self._settings}"
        key = ray.get_runtime_context().get_job_id(), actor_name
        with _finding:
            if key not in _actors:
                actor_class = ray.remote(SandboxNode).options(
                    name=actor_name,
                    get_if_exists=True,
                    num_cpus=0,  # the pool bounds its programs, and the node may offer no CPUs to others
                    max_restarts=-1,
                    max_concurrency=CALLS_AT_ONCE,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                _actors[key] = actor_class.remote(self._make, self._concurrency)
            actor = _actors[key]
        return _Remote(name, actor, self._client)

    def _forget(self, node: str, error: Exception, name: str = "") -> None:
        remote = self._remotes.pop(node, None)
        if isinstance(error, SandboxUnavailable):
            self._refused[node] = time.monotonic()
            log.error(
                "no program runs on %s, since its sandbox does not isolate: %s", remote and remote.name or name, error
            )
        elif remote is not None:
            log.warning("%s is lost; its programs run elsewhere: %s", remote.name, _first_line(error))
            remote.expire()
        else:
            log.debug("%s does not answer: %s", name, _first_line(error))

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _places(concurrency: int | None) -> int:
    """How many programs a pool of this concurrency runs at a time, on this machine."""
    return concurrency or usable_cores()


def _typed(error: Exception) -> R1CIError:
    return error if isinstance(error, R1CIError) else InfrastructureFault(f"{type(error).__name__}: {error}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
