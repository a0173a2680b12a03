"""Work in processes of their own: what becomes of it, of those who wait, and of what is left."""

import subprocess
import sys

HERE = """
import asyncio, json, os, signal, subprocess, sys, time
from longshore.errors import Overstepped
from longshore.processes.apart import Apart, Work


def who(given):
    return json.dumps([os.getpid(), os.nice(0), given.decode()]).encode()


def hoard(given):
    return bytes(4 << 30)


def linger(given):
    open(given, "w").write(str(os.getpid()))
    time.sleep(600)


def hurt(given):
    raise ValueError("nobody foresaw this")


def is_there(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def gone(pid):
    end = time.monotonic() + 60
    while is_there(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_there(pid)


apart = Apart()
apart.works |= {work.__name__: Work(work) for work in (who, hoard, linger, hurt)}
apart.begin()
keeper = int(open(f"/proc/self/task/{os.getpid()}/children").read().split()[0])
do = lambda name, given=b"": asyncio.run(apart.do(name, given))
"""


def said(script, *words):
    ended = subprocess.run(
        [sys.executable, "-c", HERE + script, *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def test_each_piece_has_a_process_of_its_own_that_lets_others_go_first():
    pids = said("""
first, second = json.loads(do("who", b"x" * 6_000_000)), json.loads(do("who", b"y"))
assert first[2] == "x" * 6_000_000 and second[2] == "y"
assert first[1] == second[1] == min(19, os.nice(0) + 10)
print(first[0], second[0], keeper, os.getpid())
""")
    assert len(set(pids)) == 4


def test_what_takes_too_much_memory_is_ended_and_others_are_not():
    assert said("""
try:
    do("hoard")
except Overstepped as error:
    print(error.code)
print(json.loads(do("who", b"still"))[2])
""") == ["too-much-work", "still"]


def test_a_few_work_at_a_time():
    assert said("""
def sleep(given):
    began = time.monotonic()
    time.sleep(1)
    return json.dumps([began, time.monotonic()]).encode()

async def many():
    return [json.loads(one) for one in await asyncio.gather(*(apart.do("sleep", b"") for _ in range(10)))]

apart.close()
apart.works["sleep"] = Work(sleep)
apart.begin()
worked = asyncio.run(many())
print(1 < max(sum(began <= moment < ended for began, ended in worked) for moment, _ in worked) <= 6)
""") == ["True"]


def test_what_fails_is_told_and_nobody_waits_for_ever():
    assert said("""
try:
    do("hurt")
except Overstepped as error:
    print("told")
""") == ["told"]


def test_what_nobody_foresaw_is_in_the_log():
    script = """
try:
    do("hurt")
except Overstepped:
    pass
"""
    ended = subprocess.run([sys.executable, "-c", HERE + script], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0
    assert "hurt failed" in ended.stderr
    assert "ValueError: nobody foresaw this" in ended.stderr


def test_what_nobody_waits_for_any_more_ends(tmp_path):
    assert said(
        """
async def give_up():
    waiting = asyncio.create_task(apart.do("linger", sys.argv[1].encode()))
    while not (os.path.exists(sys.argv[1]) and open(sys.argv[1]).read()):
        await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait({waiting})

asyncio.run(give_up())
print(gone(int(open(sys.argv[1]).read())))
""",
        str(tmp_path / "pid"),
    ) == ["True"]


def test_when_nothing_is_set_aside_any_more_it_is_done_here():
    assert said("""
do("who")
os.kill(keeper, signal.SIGTERM)  # as a service's end is told to all of it: what is under way is finished
print(json.loads(do("who"))[0] == os.getpid())
os.kill(keeper, signal.SIGKILL)
os.waitpid(keeper, 0)
print(json.loads(do("who"))[0] == os.getpid())
""") == ["False", "True"]


def test_it_ends_with_whoever_set_it_aside():
    (pid,) = said("print(keeper)")
    look = f"for n in $(seq 300); do kill -0 {pid} 2> /dev/null || exit 0; sleep 0.1; done; exit 1"
    assert subprocess.run(["sh", "-c", look]).returncode == 0
