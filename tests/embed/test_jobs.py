"""Tasks in the background: what may be asked, how they stand, how they end, and who goes on with them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from swarm.embed import recorded
from swarm.embed.jobs import Jobs
from swarm.embed.status import Status
from swarm.errors import SourceError, UsageError
from swarm.models.registry import connect
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.task import Limits, Task
from swarm.testing.postgres import LocalPostgres
from swarm.testing.simulated import simulated
from tests.embed.tasks import HOUSES, QUESTION, Held, nothing_twice, sent, write_corpus


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    write_corpus(folder / "houses")
    return folder


class Doors:
    """Jobs on one store, as one process after the other would have them."""

    def __init__(self, store: Path | str, root: Path) -> None:
        self.store, self.root = store, root

    def __call__(self, model: Any = None, **more: Any) -> Jobs:
        settings: dict[str, Any] = {"roots": [self.root], "concurrency": 2} | more
        return Jobs(self.store, model or Held(), **settings)

    @asynccontextmanager
    async def killed(self, model: Held, **more: Any) -> AsyncIterator[Jobs]:
        """Whose process dies at the end of the block: nothing is ended, recorded or said."""
        async with self(model, **more) as jobs:
            yield jobs
            for live in list(jobs._running.live.values()):
                live.stopping = True  # nothing is noted of it
                assert live.running is not None
                live.running.cancel()
                await asyncio.wait([live.running])


@pytest.fixture
def doors(tmp_path: Path, root: Path) -> Doors:
    return Doors(tmp_path / "tasks.db", root)


async def over(jobs: Jobs, run: str) -> Status:
    async with asyncio.timeout(60):
        return await jobs.wait(run)


# From beginning to end


async def test_a_task_comes_to_its_answer_in_the_background(doors: Doors) -> None:
    async with doors() as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        status = await over(jobs, run)
        assert (status.status, status.findings, status.why) == ("answered", HOUSES, None)
        assert status.slices_done == status.slices_planned >= HOUSES
        assert status.answer is not None
        assert status.answer["complete"]
        assert len(status.answer["citations"]) == HOUSES
        assert status.answer == await jobs.answer(run)
        assert json.loads(json.dumps(status.as_json())) == status.as_json()
        assert status.cost_usd > 0
        assert status.limits == {"cost_usd": 5.0}


async def test_what_is_known_is_told_while_the_task_is_at_work(doors: Doors) -> None:
    model = Held(after=3)
    async with doors(model, concurrency=1) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await model.waits.wait()
        status = await jobs.status(run)
        assert (status.status, status.phase, status.slices_done, status.answer) == ("running", "dispatch", 3, None)
        view = await jobs.ask(run, "Where are the keys?", 500)
        assert 0 < view["tokens"] <= 500
        assert "lies under stone" in view["text"]
        with pytest.raises(UsageError, match="no answer"):
            await jobs.answer(run)
        model.go_on.set()
        assert (await over(jobs, run)).status == "answered"


async def test_a_citation_and_a_finding_open_to_the_exact_quote_and_its_place(doors: Doors, root: Path) -> None:
    async with doors() as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await over(jobs, run)
        cited = await jobs.open(run, "[2]")
        (quote,) = cited["evidence"]
        text = Path(quote["source"]).read_text("utf-8")
        assert text[quote["start"] : quote["end"]] == quote["quote"]
        assert text.endswith(quote["quote"] + cited["after"]) or quote["quote"] + cited["after"] in text
        assert cited["before"] + quote["quote"] in text
        graph = await jobs.graph(run)
        assert graph["counts"]["finding"] == HOUSES
        assert len(graph["fingerprint"]) == 32
        found = await jobs.open(run, graph["findings"][0]["id"])
        assert found["kind"] == "finding"
        assert found["evidence"][0]["quote"] == found["text"]
        for wrong in ("[99]", "0", "nope"):
            with pytest.raises(UsageError):
                await jobs.open(run, wrong)


async def test_progress_is_told_while_waiting_and_ends_with_the_answer(doors: Doors) -> None:
    told: list[Status] = []

    async def tell(status: Status) -> None:
        told.append(status)

    async with doors() as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        last = await jobs.wait(run, 60, tell)
    assert told[-1] == last
    assert last.status == "answered"
    assert [one.slices_done for one in told] == sorted(one.slices_done for one in told)


async def test_who_stops_waiting_leaves_the_task_going_on(doors: Doors) -> None:
    model = Held(after=1)
    async with doors(model) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await model.waits.wait()
        assert (await jobs.wait(run, 0.01)).status == "running"
        waiting = asyncio.create_task(jobs.wait(run))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        model.go_on.set()
        assert (await over(jobs, run)).status == "answered"


async def test_a_table_asks_each_item_each_question(doors: Doors) -> None:
    async with doors(Scripted(lambda _: {"findings": []}, window=2_500)) as jobs:
        run = await jobs.start("Is there a mill?\nIs there a key?", ["houses"], output="table")
        status = await over(jobs, run)
        assert status.answer is not None
        assert len(status.answer["cells"]) == 2 * HOUSES


async def test_a_graph_needs_no_question(doors: Doors) -> None:
    async with doors(model="extractive") as jobs:
        run = await jobs.start("", ["houses/house-1.md"], output="graph")
        status = await over(jobs, run)
        assert status.answer is not None
        assert status.answer["answer"] == ""
        assert status.findings > 0
        assert (await jobs.ask(run, "key"))["findings"]


async def test_work_towards_a_goal_is_done_where_it_is_allowed(doors: Doors) -> None:
    with simulated(window=16_000) as provider:
        model = connect("openai:any", base_url=provider.openai_url, api_key="simulated")
        async with doors(model, work=True) as jobs:
            run = await jobs.start(
                "Describe the houses of the village.", output="work", done_when="It is written."
            )
            status = await over(jobs, run)
            assert status.asked.startswith("work: ")
            assert status.status in ("answered", "no_evidence")
            assert status.slices_done > 0
            assert status.answer is not None
            assert status.answer["answer"]


# What is allowed


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "..", "houses/../../outside.txt", "link", "*/../../outside.txt", "", "a\0b"]
)
async def test_what_lies_outside_the_roots_is_not_read(doors: Doors, root: Path, path: str) -> None:
    (root.parent / "outside.txt").write_text("The safe's number is 1234.")
    (root / "link").symlink_to(root.parent / "outside.txt")
    model = Held()
    async with doors(model) as jobs:
        with pytest.raises(SourceError):
            await jobs.start(QUESTION, ["houses", path])
        assert await jobs.runs() == []
        assert not model.calls


async def test_a_pattern_and_a_folder_do_not_follow_links_out_of_the_roots(doors: Doors, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "safe.md").write_text("The key of house 99 lies under stone 99.")
    (root / "houses" / "away.md").symlink_to(outside / "safe.md")
    (root / "houses" / "gone").symlink_to(outside)
    async with doors() as jobs:
        for paths in (["houses"], ["houses/*"], ["*/*.md"], ["**/*.md"]):
            run = await jobs.start(QUESTION, paths)
            status = await over(jobs, run)
            assert status.answer is not None
            assert "99" not in status.answer["answer"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"question": ""}, "nothing is asked"),
        ({"paths": []}, "nothing is to be read"),
        ({"paths": ["nothing-here"]}, "nothing-here"),
        ({"output": "poem"}, "poem"),
        ({"output": "work"}, "not allowed"),
        ({"output": "digest", "words": 0}, "words is 0"),
        ({"limits": {"cost_usd": 5.01}}, "the most that is allowed here is 5"),
        ({"limits": {"cost_usd": -1}}, "cost_usd"),
        ({"limits": {"cost_usd": float("nan")}}, "cost_usd"),
        ({"limits": {"depth": 9}}, "depth"),
        ({"limits": {"money": 1}}, "money"),
        ({"limits": {"tokens": "many"}}, "tokens"),
        ({"question": "x" * 20_001}, "20,001"),
        ({"done_when": "x" * 20_001}, "20,001"),
        ({"paths": ["x" * 5_000]}, "xxx"),
    ],
)
async def test_what_makes_no_sense_is_told_in_one_line_and_begins_nothing(
    doors: Doors, asked: dict[str, Any], said: str
) -> None:
    model = Held()
    async with doors(model) as jobs:
        with pytest.raises(UsageError, match=said) as error:
            await jobs.start(**({"question": QUESTION, "paths": ["houses"]} | asked))
        assert "\n" not in str(error.value)
        assert not model.calls
        assert await jobs.runs() == []


async def test_limits_of_whoever_asks_hold_where_they_are_tighter(doors: Doors) -> None:
    async with doors(limits=Limits(cost_usd=1.0, calls=50)) as jobs:
        run = await jobs.start(QUESTION, ["houses"], limits={"calls": 4})
        status = await over(jobs, run)
        assert status.limits == {"cost_usd": 1.0, "calls": 4}
        assert status.calls <= 4
        assert (status.status, status.answer is not None) == ("partial", True)
        assert "4 calls" in (status.why or "")


async def test_work_is_told_at_once_where_the_model_cannot_do_it(doors: Doors) -> None:
    async with doors(model="extractive", work=True) as jobs:
        with pytest.raises(UsageError):
            await jobs.start("Write a plan.", output="work")


async def test_no_more_tasks_are_at_work_than_are_allowed(doors: Doors) -> None:
    model = Held(after=0)
    async with doors(model, most=1) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        with pytest.raises(UsageError, match="no more may be at once"):
            await jobs.start(QUESTION, ["houses"])
        model.go_on.set()
        await over(jobs, run)
        await over(jobs, await jobs.start(QUESTION, ["houses"]))


async def test_what_was_refused_does_not_go_on_in_the_next_process(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.embed.running.LEAVE_SECONDS", 0.0)
    async with doors(Held(after=0), most=2) as jobs:
        asked = await asyncio.gather(
            *(jobs.start(QUESTION, ["houses"]) for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(one, str) for one in asked) == 2
    async with doors(Held(after=0)) as jobs:
        assert len(jobs._running.live) == 2


async def test_two_who_resume_a_task_at_once_have_it_once(doors: Doors) -> None:
    async with doors(limits=Limits(calls=5)) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        assert (await over(jobs, run)).status == "partial"
    model = Held(after=0)
    async with doors(model) as jobs:
        came = await asyncio.gather(*(jobs.resume(run) for _ in range(3)), return_exceptions=True)
        assert sorted(isinstance(one, UsageError) for one in came) == [False, True, True]
        model.go_on.set()
        await over(jobs, run)


async def test_a_path_may_be_as_places_are_shown(
    doors: Doors, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    allowed = doors(roots=["root"]).allowed
    for name in ("root/houses", "houses", "root/houses/*.md", "houses/*.md", "root", ".", "root/houses/../houses"):
        (path,) = allowed.paths([name])
        assert path.startswith("root"), name
        assert path.count("root") == 1, name
    (root / "root").mkdir()
    assert allowed.paths(["root"]) == ("root/root",)  # what a root holds comes first
    for name in ("..", "../tasks.db", str(root.parent / "tasks.db")):
        with pytest.raises(SourceError, match="none of the folders"):
            allowed.paths([name])


def test_a_root_may_be_one_folder_and_is_no_sequence_of_letters(root: Path, tmp_path: Path) -> None:
    assert Jobs(tmp_path / "t.db", roots=f"{root}/").allowed.roots == (str(root.resolve()),)


async def test_tasks_are_of_one_event_loop_and_one_block(doors: Doors) -> None:
    async with doors() as jobs:
        with pytest.raises(UsageError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, jobs.start(QUESTION, ["houses"]))
        with pytest.raises(UsageError, match="entered already"):
            await jobs.__aenter__()
        loop = asyncio.get_running_loop()
        begun = asyncio.run_coroutine_threadsafe(jobs.start(QUESTION, ["houses"]), loop)
        assert (await over(jobs, await asyncio.wrap_future(begun))).status == "answered"


def test_a_root_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        Jobs(tmp_path / "t.db", roots=[tmp_path / "nowhere"])


async def test_an_unknown_run_is_told(doors: Doors) -> None:
    async with doors() as jobs:
        for ask in (jobs.status, jobs.stop, jobs.wait, jobs.answer, jobs.graph):
            with pytest.raises(UsageError, match="run"):
                await ask("nowhere")
        with pytest.raises(UsageError):
            await jobs.ask("nowhere", "what?")
        await over(jobs, await jobs.start(QUESTION, ["houses"]))
        with pytest.raises(UsageError, match="nowhere"):
            await jobs.status("nowhere")
        with pytest.raises(UsageError) as error:
            await jobs.ask("nowhere", "what?")
        assert "tasks.db" not in str(error.value)
        assert (await jobs.status("last")).status == "answered"


# A word to a task


async def test_a_task_is_paused_steered_and_goes_on(doors: Doors) -> None:
    model = Held(after=1)
    async with doors(model) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await model.waits.wait()
        await jobs.pause(run)
        model.go_on.set()
        while (await jobs.status(run)).status != "paused":  # noqa: ASYNC110 - it is the status that is awaited
            await asyncio.sleep(0.01)
        await jobs.steer(run, "Leave house 5 out.")
        await jobs.go_on(run)
        assert (await over(jobs, run)).status == "answered"
        with pytest.raises(UsageError, match="over"):
            await jobs.steer(run, "Too late.")
    assert any("Leave house 5 out." in text for text in sent(model))


async def test_a_task_that_was_stopped_waits_for_whoever_resumes_it(doors: Doors) -> None:
    first, second = Held(after=2), Held()
    async with doors(first) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await first.waits.wait()
        await jobs.stop(run)
        first.go_on.set()
        status = await over(jobs, run)
        assert (status.status, status.why) == ("partial", "interrupted")
    async with doors(second) as jobs:
        assert not jobs._running.live
        assert (await jobs.status(run)).status == "partial"
        assert await jobs.resume(run) == run
        status = await over(jobs, run)
        assert (status.status, status.findings) == ("answered", HOUSES)
        with pytest.raises(UsageError, match="has its answer"):
            await jobs.resume(run)
    assert nothing_twice(first, second)


# Another process goes on


async def test_leaving_stops_cleanly_and_the_next_goes_on(doors: Doors) -> None:
    first, second = Held(after=2), Held()
    async with doors(first) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await first.waits.wait()
        asyncio.get_running_loop().call_later(0.05, first.go_on.set)
    assert first.closed == 1
    async with doors(second) as jobs:
        assert (await over(jobs, run)).status == "answered"
    assert nothing_twice(first, second)
    assert (await replay(run, doors.store)).complete  # what is recorded of tasks does not stand in the way of that


async def test_what_a_killed_process_left_goes_on_and_nothing_finished_is_asked_again(doors: Doors) -> None:
    first, second = Held(after=3), Held()
    async with doors.killed(first, concurrency=1) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await first.waits.wait()
    done = len(first.calls)
    assert done >= 4
    async with doors(second, concurrency=1) as jobs:
        status = await over(jobs, run)
        assert (status.status, status.findings) == ("answered", HOUSES)
    assert nothing_twice(first, second)


@pytest.mark.soak
async def test_tasks_are_kept_on_a_server_as_well(
    postgres: LocalPostgres, doors: Doors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where the file beside it goes
    doors.store = postgres.database()
    first, second = Held(after=3), Held()
    async with doors.killed(first, concurrency=1) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await first.waits.wait()
        assert (await jobs.ask(run, "the key"))["findings"]
    async with doors(second, concurrency=1) as jobs:
        status = await over(jobs, run)
        assert (status.status, status.findings) == ("answered", HOUSES)
        assert (await jobs.open(run, "[1]"))["evidence"]
        assert [one.status for one in await jobs.runs()] == ["answered"]
    assert nothing_twice(first, second)


async def test_a_task_that_came_to_a_limit_waits_for_a_wider_one(doors: Doors) -> None:
    first, second = Held(), Held()
    async with doors(first, limits=Limits(calls=20)) as jobs:
        run = await jobs.start(QUESTION, ["houses"], limits=Limits(calls=5))
        assert (await over(jobs, run)).status == "partial"
    async with doors(second, limits=Limits(calls=20)) as jobs:
        assert not jobs._running.live
        with pytest.raises(UsageError, match="the most that is allowed here is 20"):
            await jobs.resume(run, {"calls": 21})
        await jobs.resume(run, {"calls": 20})
        assert (await over(jobs, run)).status == "answered"
    assert nothing_twice(first, second)


async def test_the_owner_s_limits_of_now_hold_for_what_goes_on(doors: Doors) -> None:
    first, second = Held(after=3), Held()
    async with doors.killed(first, concurrency=1) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await first.waits.wait()
    async with doors(second, limits=Limits(calls=4), concurrency=1) as jobs:
        status = await over(jobs, run)
        assert status.limits == {"cost_usd": 5.0, "calls": 4}
        assert status.status == "partial"


@pytest.mark.parametrize("other", [{"model": "another"}, {"root": "elsewhere"}, {"takes_up": False}])
async def test_what_another_would_not_have_begun_does_not_go_on_by_itself(
    doors: Doors, other: dict[str, Any], tmp_path: Path
) -> None:
    first = Held(after=2)
    async with doors.killed(first) as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await first.waits.wait()
    if "root" in other:
        (tmp_path / "elsewhere").mkdir()
        doors.root = tmp_path / "elsewhere"
    second = Held(name=other.get("model", "scripted"))
    async with doors(second, takes_up=other.get("takes_up", True)) as jobs:
        assert not jobs._running.live
        assert (await jobs.status(run)).status == "interrupted"
        if "root" in other:
            with pytest.raises(UsageError, match="not allowed"):
                await jobs.resume(run)
    assert not second.calls


async def test_runs_that_were_not_begun_as_tasks_are_seen_and_left_alone(doors: Doors, root: Path) -> None:
    task = Task(questions=(QUESTION,), paths=(str(root / "houses"),), limits=Limits(calls=5))
    answer = await Swarm(Held(), store=doors.store).run(task, run_id="by-hand")
    assert answer.status == "partial"
    async with doors() as jobs:
        (seen,) = await jobs.runs()
        assert (seen.run, seen.status, seen.answer) == ("by-hand", "partial", None)
        assert (await jobs.status("by-hand")).answer is not None
        with pytest.raises(UsageError, match="swarm resume by-hand"):
            await jobs.resume("by-hand")


async def test_two_doors_of_one_process_share_a_store(doors: Doors) -> None:
    one, two = Held(after=1), Held()
    async with doors(one) as first, doors(two) as second:
        run = await first.start(QUESTION, ["houses"])
        await one.waits.wait()
        other = await second.start(QUESTION + " Again?", ["houses"])
        assert (await over(second, other)).status == "answered"
        assert (await second.status(run)).at_work
        one.go_on.set()
        assert (await over(first, run)).status == "answered"
        assert [status.run for status in await second.runs()] == [other, run]


async def test_tasks_that_waited_for_their_turn_go_on_while_another_door_has_the_store_open(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.embed.running.LEAVE_SECONDS", 0.0)
    async with doors(Held(after=0)) as jobs:
        begun = {await jobs.start(f"{QUESTION} {number}?", ["houses"]) for number in range(3)}
    stays = Held(after=0)
    async with doors(stays, takes_up=False) as other:
        await other.start("And what else?", ["houses"])
        await stays.waits.wait()
        waits = Held(after=0)
        async with doors(waits, most=1) as jobs:
            assert set(jobs._running.live) == begun
            await waits.waits.wait()
        async with doors() as jobs:
            assert set(jobs._running.live) == begun
            assert {(await over(jobs, run)).status for run in begun} == {"answered"}
            assert {(await other.status(run)).status for run in begun} == {"answered"}


async def test_what_fails_is_told_and_is_no_concern_of_others(doors: Doors) -> None:
    def broken(_: Any) -> Any:
        raise LookupError("a mistake in the model")

    async with doors(Scripted(broken, window=2_500)) as jobs:
        with suppress(UsageError):  # told at once, where it comes to light at once
            await jobs.start(QUESTION, ["houses"])
        (status,) = await jobs.runs()
        run = status.run
        status = await over(jobs, run)
        assert status.status == "failed"
        assert "LookupError" in (status.why or "")
    async with doors() as jobs:
        assert not jobs._running.live
        assert (await jobs.status(run)).status == "failed"
        await jobs.resume(run)
        assert (await over(jobs, run)).status == "answered"


async def test_an_error_in_the_block_comes_through_as_it_is(doors: Doors) -> None:
    async def block() -> None:
        async with doors() as jobs:
            await jobs.start(QUESTION, ["houses"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()


async def test_a_task_is_recorded_without_secrets(doors: Doors) -> None:
    async with doors(model="extractive") as jobs:
        run = await jobs.start(QUESTION, ["houses"])
        await over(jobs, run)
    with open_store(doors.store, read_only=True) as store:
        record = store.journal.record(run, recorded.KIND, "")
        assert record is not None
        assert set(record.body) == {"task", "settings"}
        assert set(record.body["settings"]) == {"model", "reader", "window", "base_url"}
        assert recorded.begun(store.journal, run) is not None
